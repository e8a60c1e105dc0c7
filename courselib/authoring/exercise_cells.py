"""What an exercise's source must hold, and nbgrader's metadata for its cells (schema version 3).

The cell with the markers is the learner's answer; the cell that calls ``courselib.check`` is worth the exercise's
points. Where a person grades (``by_hand``), the answer itself is worth them: nbgrader then leaves the score open, and
gives 0 to an untouched one. Both get their metadata here, so that authors write none and no two can disagree.

Source: nbgrader's schema, nbgrader/nbgraderformat/v3.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from courselib.authoring.blocks import split
from courselib.authoring.lint import prose_problems
from courselib.authoring.problem import Problem
from courselib.authoring.source import EXERCISES, Cell, Lesson, lesson_title
from courselib.i18n import _

HINTS = 3
SCHEMA_VERSION = 3
MARKER = "### BEGIN SOLUTION"
REASONS, MISTAKES = "## Why this is right", "## Classic mistakes"


def graded(lesson: Lesson) -> Lesson:
    """The exercise with nbgrader's metadata on its two cells."""
    return replace(lesson, cells=tuple(replace(cell, nbgrader=_metadata(lesson, cell)) for cell in lesson.cells))


def of_lesson(root: Path, name: str) -> tuple[tuple[str, str], ...]:
    """The exercises of a lesson, each as its file's stem and its title."""
    line = re.compile(rf"^lesson: *{re.escape(name)} *$", re.MULTILINE)
    return tuple(
        (path.stem, lesson_title(path))
        for path in sorted((root / EXERCISES).glob("*.md"))
        if line.search(path.read_text(encoding="utf-8").partition("\n---\n")[0])
    )


def judge_name(lesson: Lesson) -> str:
    """The name by which the judge knows an exercise: the file's, without its number."""
    return re.sub(r"^\d+_", "", lesson.name)


def lint(lesson: Lesson) -> Iterator[Problem]:
    """Everything that an exercise lacks or has too often."""
    yield from prose_problems(lesson)
    blocks = [block for cell in lesson.cells if cell.kind == "markdown" for block in split(cell.source)]
    hints = sum(block.name == "answer" and block.title.startswith("Hint ") for block in blocks)
    if hints != HINTS:
        yield lesson.problem(_("an exercise has {n} hints, ':::{{answer}} Hint 1' and so on.").format(n=HINTS))
    if not blocks or blocks[0].text != f"# {lesson.title}":
        yield lesson.problem(_("an exercise opens with its title: '# {title}'.").format(title=lesson.title))
    if any(block.name == "quiz" for block in blocks):
        yield lesson.problem(_("an exercise has no quiz; its questions belong into the lesson."))
    told = "\n".join(cell.source for cell in lesson.cells if "solution" in cell.tags)
    for heading in (REASONS, MISTAKES):
        if heading not in told:
            yield lesson.problem(_("a cell tagged 'solution' has the heading '{heading}'.").format(heading=heading))
    for is_one, what in ((_is_answer, _("a cell with the markers of an answer")), (_is_check, _("a check cell"))):
        if sum(is_one(cell) for cell in lesson.cells) != 1:
            yield lesson.problem(_("an exercise has exactly one of: {what}.").format(what=what))
    name = judge_name(lesson)
    for cell in filter(_is_check, lesson.cells):
        if f'courselib.check("{name}",' not in cell.source:
            yield lesson.problem(_('the check cell calls courselib.check("{name}", …).').format(name=name), cell)


def _is_answer(cell: Cell) -> bool:
    return cell.kind == "code" and MARKER in cell.source


def _is_check(cell: Cell) -> bool:
    return cell.kind == "code" and "courselib.check(" in cell.source


def _metadata(lesson: Lesson, cell: Cell) -> dict[str, object]:
    if lesson.exercise is None or not (_is_answer(cell) or _is_check(cell)):
        return dict(cell.nbgrader)
    answers = _is_answer(cell)
    gives_points = answers == lesson.exercise.by_hand
    mark: dict[str, object] = {"schema_version": SCHEMA_VERSION, "task": False, "grade": gives_points}
    mark |= {
        "locked": not answers,
        "solution": answers,
        "grade_id": lesson.name if answers else f"{lesson.name}-check",
    }
    return mark | {"points": lesson.exercise.points} if gives_points else mark
