"""What is wrong in a lesson's text, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from courselib.errors import LessonError
from courselib.i18n import _


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to mend in a lesson.

    Args:
        lesson: the source's path from the project's root.
        line: line in that file, from 1.
        cell: cell in the lesson, from 1; 0 for the front matter and the lesson as a whole.
        text: what is wrong and how to mend it.
    """

    lesson: str
    line: int
    cell: int
    text: str

    def __str__(self) -> str:
        cell = _("cell {n}: ").format(n=self.cell) if self.cell else ""
        return f"{self.lesson}:{self.line}: {cell}{self.text}"


def refuse(problems: Iterable[Problem]) -> None:
    """Raise one LessonError that lists all problems, in the order of the text; do nothing if there are none."""
    found = sorted(set(problems))
    if found:
        raise LessonError("\n".join(map(str, found)))
