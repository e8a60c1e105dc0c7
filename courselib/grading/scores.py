"""Scores as tables: one of our own, and those that Canvas and Moodle import.

Sources: Canvas, "How do I import grades" (columns and the row with the points possible); Moodle, "Assignment settings",
offline grading worksheet (an identifier ``Participant N``, the grade and its maximum).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from courselib.grading.assignment import Assignment
from courselib.grading.results import Result

SCORES, CANVAS, MOODLE = "scores.csv", "canvas.csv", "moodle.csv"
TITLE = "courselib"
# With one of these at its beginning, a cell is a formula for a spreadsheet (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def tables(results: Iterable[Result], assignments: Mapping[str, Assignment]) -> dict[str, str]:
    """The tables, by file name. Points that a person has yet to give are left open, and are in no total."""
    of_learner: dict[tuple[str, str], dict[str, Result]] = {}
    for each in results:
        of_learner.setdefault((each.learner, each.platform_id), {})[each.exercise or each.path] = each
    names, most = list(assignments), sum(each.points for each in assignments.values())
    scores = [["learner", "platform_id", *names, "total", "of"]]
    canvas = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", TITLE]]
    canvas.append(["    Points Possible", "", "", "", "", _number(most)])
    moodle = [["Identifier", "Full name", "Grade", "Maximum Grade"]]
    for (learner, number), of in sorted(of_learner.items()):
        points = [of[name].points if name in of else 0 for name in names]
        total = _number(sum(filter(None, points)))
        scores.append([learner, number, *map(_number, points), total, _number(most)])
        canvas.append([learner, number, "", "", "", total])
        moodle.append([f"Participant {number}" if number else "", learner, total, _number(most)])
    return {SCORES: _csv(scores), CANVAS: _csv(canvas), MOODLE: _csv(moodle)}


def _number(points: float | None) -> str:
    return "" if points is None else f"{points:g}"


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
