"""The questions that end a lesson: answered by a click, explained, and kept in the learner's own file.

    click --page shows the reason at once--> view.chosen --to the kernel--> .answers.json in the notebook's folder
    opened, or run again: .answers.json --> view.chosen

The page shows a reason without asking the kernel, which may be busy with a long cell; the answer is written when the
kernel is free. Nothing is written where nothing is clicked: in a test, or where a program makes the panel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from courselib.errors import CourseError
from courselib.i18n import _
from courselib.panels import still
from courselib.panels.base import Panel, button
from courselib.panels.view import STATIC, script
from courselib.questions import answers
from courselib.questions.questions import Question, folded, lines, read, score


class QuizView(anywidget.AnyWidget):
    """Questions with their options as buttons; a reason appears below each option that was chosen.

    Traits:
        questions: each with its ``text`` and its ``options``, as ``Question`` has them.
        chosen: for each question, the places of the options chosen, the first try first.
    """

    _esm = script("quiz.js", "tokens.js", "ids.js")
    _css = STATIC / "quiz.css"
    questions: traitlets.List[Any] = traitlets.List().tag(sync=True)
    chosen: traitlets.List[Any] = traitlets.List().tag(sync=True)
    labels = traitlets.Dict().tag(sync=True)

    def __init__(self, asked: Sequence[Question]) -> None:
        labels = {"right": _("Right."), "wrong": _("Not quite.")}
        super().__init__(questions=[asdict(each) for each in asked], chosen=[[] for _each in asked], labels=labels)

    def __repr__(self) -> str:
        return "QuizView()"


class Quiz(Panel):
    """A lesson's questions.

    Args:
        lesson: the name of its notebook, without ``.ipynb``.
        folder: where the answers are kept; ``None`` for the folder that the notebook runs in.

    Raises:
        SettingsError: no lesson of this name has questions.
    """

    def __init__(self, lesson: str, *, folder: Path | None = None) -> None:
        self.lesson, self.questions = lesson, read(lesson)
        self._folder = folder or Path.cwd()
        super().__init__(_("Check yourself"), "", "")
        self.stills = {still.HTML: folded(self.questions)}
        self.view = QuizView(self.questions)
        self.again_button = button(_("Answer again"), "undo", "cl-again", lambda _button: self.again())
        self.again_button.tooltip = _("takes your answers to these questions away")
        self.again_button.add_class("cl-head-buttons")
        self._head.children = (self._header, self._status, self.again_button)
        self.add_class("cl-quiz")
        self.lay_out(self.view)
        self._open()
        self.view.observe(self._chosen, "chosen")

    @property
    def chosen(self) -> list[list[int]]:
        """For each question, the places of the options chosen, the first try first."""
        return [list(each) for each in self.view.chosen]

    def again(self) -> None:
        """Take the answers to these questions away, from the panel and from the file."""
        self.view.chosen = [[] for _question in self.questions]

    def as_table(self) -> str:
        """The questions as plain text; an option's reason only where it was chosen."""
        return "\n".join([f"{self.title} | {self.state}", *lines(self.questions, self.chosen)])

    def _open(self) -> None:
        """Show what was kept."""
        try:
            kept, sentence = answers.load(self._folder)
            self.set_remark(sentence)
            self.view.chosen = [question.chosen(kept.get(self.lesson, {})) for question in self.questions]
        except CourseError as error:
            self.show_error(error)
        self._count()

    def _chosen(self, _change: Any) -> None:
        """Keep what was chosen, or say why that cannot be done."""
        chosen = {
            question.key: question.words(each) for question, each in zip(self.questions, self.chosen, strict=True)
        }
        try:
            if sentence := answers.keep(self._folder, self.lesson, chosen):
                self.set_remark(sentence)
            self.show_error(None)
        except CourseError as error:
            self.show_error(error)
        self._count()

    def _count(self) -> None:
        answered, first = score(self.questions, self.chosen)
        text = _("{answered} of {all} answered, {first} right at the first try")
        self.set_state_text(text.format(answered=answered, all=len(self.questions), first=first))
        self.again_button.disabled = not answered

    def __repr__(self) -> str:
        return f"Quiz({self.lesson!r})"
