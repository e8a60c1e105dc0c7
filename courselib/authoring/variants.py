"""One text, three notebooks: the lesson as written, an exercise for learners, and its solution.

nbgrader's markers hold the answer:

    def top_p(p):
        ### BEGIN SOLUTION
        return ...
        ### END SOLUTION

The exercise has a line there that fails with the exercise's name; the solution has the answer without the markers.
Both must be Python: an answer is whole statements, never a part of one. An answer in words is a cell tagged
``solution``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from courselib.authoring.problem import Problem, refuse
from courselib.authoring.source import Cell, Lesson
from courselib.i18n import _

Variant = Literal["lesson", "exercise", "solution"]
ANSWER_TAGS = frozenset({"solution", "hidden-tests"})

_MARKER = re.compile(r"^(?P<indent>\s*)### (?P<edge>BEGIN|END) SOLUTION\s*$")
_LOOKS_LIKE_MARKER = re.compile(r"#\s*(begin|end)\s+solution", re.IGNORECASE)


def vary(lesson: Lesson, variant: Variant) -> Lesson:
    """The lesson's cells as ``variant`` has them.

    Raises:
        LessonError: markers are nested, unclosed or misspelt, or a lesson holds answers.
    """
    refuse(_problems(lesson, variant))
    if variant != "lesson":
        refuse(_not_python(lesson))
    if variant == "exercise":
        kept = (cell for cell in lesson.cells if not ANSWER_TAGS.intersection(cell.tags))
        return replace(lesson, cells=tuple(_changed(cell, _with_stubs(lesson, cell)) for cell in kept))
    return replace(lesson, cells=tuple(_changed(cell, _without_markers(cell)) for cell in lesson.cells))


def _problems(lesson: Lesson, variant: Variant) -> Iterator[Problem]:
    for cell in lesson.cells:
        opened: int | None = None
        for offset, line in enumerate(cell.source.split("\n")):
            marker = _MARKER.match(line)
            if marker and variant == "lesson":
                yield lesson.problem(_("a lesson holds no answers; they belong into exercises."), cell, offset)
            elif not marker and _LOOKS_LIKE_MARKER.search(line):
                yield lesson.problem(_("a marker is exactly '### BEGIN SOLUTION' or '### END SOLUTION'."), cell, offset)
            elif marker and cell.kind != "code":
                text = _("markers stand in code; an answer in words is a cell of its own, tagged 'solution'.")
                yield lesson.problem(text, cell, offset)
                break
            elif marker and marker["edge"] == "BEGIN":
                if opened is not None:
                    text = _("BEGIN SOLUTION inside a solution; end the first one before it.")
                    yield lesson.problem(text, cell, offset)
                opened = offset
            elif marker:
                if opened is None:
                    yield lesson.problem(_("END SOLUTION without a BEGIN SOLUTION before it."), cell, offset)
                opened = None
        if opened is not None and variant != "lesson":
            yield lesson.problem(_("BEGIN SOLUTION is never ended in this cell."), cell, opened)
        if variant == "lesson" and ANSWER_TAGS.intersection(cell.tags):
            yield lesson.problem(_("a lesson holds no answers; they belong into exercises."), cell)


def _not_python(lesson: Lesson) -> Iterator[Problem]:
    """Cells with an answer that one of the two copies could not run."""
    for cell in lesson.cells:
        if cell.kind == "code" and any(map(_MARKER.match, cell.source.split("\n"))):
            for text, copy in (
                (_("the learner's copy"), _with_stubs(lesson, cell)),
                (_("the solution"), _without_markers(cell)),
            ):
                try:
                    ast.parse(copy)
                except SyntaxError as error:
                    words = _("{copy} of this cell is not Python ({reason}); an answer is whole statements.")
                    yield lesson.problem(words.format(copy=text, reason=error.msg), cell)
                    break


def _changed(cell: Cell, source: str) -> Cell:
    return replace(cell, source=source) if cell.kind == "code" else cell


def _with_stubs(lesson: Lesson, cell: Cell) -> str:
    name = cell.nbgrader.get("grade_id", lesson.name)
    lines: list[str] = []
    answer = False
    for line in cell.source.split("\n"):
        marker = _MARKER.match(line)
        if marker:
            answer = marker["edge"] == "BEGIN"
            if answer:
                lines.append(marker["indent"] + stub(name))
        elif not answer:
            lines.append(line)
    return "\n".join(lines)


def stub(name: str) -> str:
    """The line that stands for an answer in the learner's copy."""
    return f"raise NotImplementedError({f'{name}: your answer goes here'!r})"


def _without_markers(cell: Cell) -> str:
    return "\n".join(line for line in cell.source.split("\n") if not _MARKER.match(line))
