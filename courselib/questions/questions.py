"""A lesson's questions: read from the package, as folded HTML for pages that run nothing, and as text."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from courselib.errors import SettingsError
from courselib.i18n import _, language

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Option:
    """One option of a question.

    Args:
        text: what is offered, as HTML.
        is_right: whether it is a right one.
        why: what a learner reads who has chosen it, as HTML.
    """

    text: str
    is_right: bool
    why: str


@dataclass(frozen=True)
class Question:
    """A question with its options.

    Args:
        text: the question, as HTML.
        options: two or more, at least one of them right.
    """

    text: str
    options: tuple[Option, ...]

    @property
    def key(self) -> str:
        """By what its answers are kept: its words."""
        return plain(self.text)

    def chosen(self, kept: Mapping[str, Sequence[str]]) -> list[int]:
        """Which options a learner has chosen, in order; options that are no more are left out.

        Args:
            kept: the learner's answers to the questions of this lesson.
        """
        places = {plain(option.text): at for at, option in enumerate(self.options)}
        return [places[words] for words in kept.get(self.key, ()) if words in places]

    def words(self, chosen: Sequence[int]) -> list[str]:
        """Chosen options as they are kept."""
        return [plain(self.options[at].text) for at in chosen]


def plain(text: str) -> str:
    """HTML as plain text."""
    return html.unescape(re.sub(r"<[^>]+>", "", text))


def lessons() -> list[str]:
    """The lessons that have questions, by the names of their notebooks."""
    return sorted(path.stem for path in (FOLDER / "en").glob("*.json"))


def read(lesson: str) -> tuple[Question, ...]:
    """A lesson's questions, in the language in use where they are translated.

    Args:
        lesson: the name of its notebook, without ``.ipynb``.

    Raises:
        SettingsError: no lesson of this name has questions.
    """
    if lesson not in lessons():
        text = _("There are no questions for {lesson!r}. There are questions for: {names}.")
        raise SettingsError(text.format(lesson=lesson, names=", ".join(lessons())))
    own = FOLDER / language() / f"{lesson}.json"
    path = own if own.exists() else FOLDER / "en" / f"{lesson}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    return tuple(Question(row["text"], tuple(Option(**option) for option in row["options"])) for row in rows)


def to_json(questions: Sequence[Question]) -> str:
    """Questions as ``read`` finds them."""
    return json.dumps([asdict(question) for question in questions], indent=1, ensure_ascii=False) + "\n"


def folded(questions: Sequence[Question], translate: Callable[[str], str] = _) -> str:
    """Questions as HTML without scripts: each option unfolds its reason.

    Args:
        questions: those of a lesson.
        translate: gives the words around them.
    """
    made = []
    for number, question in enumerate(questions, start=1):
        made.append(f"<p><strong>{number}. {question.text}</strong></p>")
        for option in question.options:
            verdict = translate("Right.") if option.is_right else translate("Not quite.")
            reason = f"<blockquote><strong>{verdict}</strong> {option.why}</blockquote>"
            made.append(f"<details><summary>{option.text}</summary>{reason}</details>")
    return "\n".join(made)


def lines(questions: Sequence[Question], chosen: Sequence[Sequence[int]]) -> list[str]:
    """Questions as plain text; what is right shows for the options that were chosen, and for no other.

    Args:
        questions: those of a lesson.
        chosen: for each, which options were chosen.
    """
    made = []
    for number, (question, tried) in enumerate(zip(questions, chosen, strict=True), start=1):
        made.append(f"{number}. {question.key}")
        for at, option in enumerate(question.options):
            if at in tried:
                mark, verdict = ("✓", _("Right.")) if option.is_right else ("✕", _("Not quite."))
                made.append(f"   {mark} {plain(option.text)} — {verdict} {plain(option.why)}")
            else:
                made.append(f"   ○ {plain(option.text)}")
    return made


def score(questions: Sequence[Question], chosen: Sequence[Sequence[int]]) -> tuple[int, int]:
    """How many questions were answered, and how many of them rightly at the first try."""
    tried = [(question, choice) for question, choice in zip(questions, chosen, strict=True) if choice]
    return len(tried), sum(question.options[choice[0]].is_right for question, choice in tried)
