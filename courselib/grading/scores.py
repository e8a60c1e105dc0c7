"""Scores as tables: one of our own, and those that Canvas and Moodle import.

Sources, read in the code that imports them: Canvas, ``lib/gradebook_importer.rb`` (its columns up to Section, then one
for each assignment, found by its title; the row with the points possible; learners by ID, else by name); Moodle,
``mod/assign/feedback/offline`` (Identifier, Grade and "Last modified (grade)" must be there; the identifier ends with
the participant's number; a row without a grade changes nothing).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from courselib.grading.book import Book, Learner, points
from courselib.grading.printable import printable_name

SCORES, CANVAS, MOODLE = "scores.csv", "canvas.csv", "moodle.csv"
TITLE = "courselib"
# With one of these at its beginning, a cell is a formula for a spreadsheet (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def tables(book: Book) -> dict[str, str]:
    """The tables, by file name.

    Points that a person has yet to give are left open. They are in no total of our own table; the platforms get no
    total for such a learner, so that no sum is published that will change.
    """
    names, most = list(book.assignments), points(book.most)
    scores = [["learner", "platform_id", *names, "total", "of"]]
    canvas = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", TITLE]]
    canvas.append(["    Points Possible", "", "", "", "", most])
    moodle = [["Identifier", "Full name", "Grade", "Maximum Grade", "Last modified (grade)"]]
    for each in book.learners:
        who, number, total = each.name, each.platform_id, points(each.total)
        final = "" if each.waits else total
        scores.append([who, number, *(_points(each, name) for name in names), total, most])
        canvas.append([who, number, "", "", "", final])
        moodle.append([f"Participant {number}" if number else "", who, final, most, ""])
    return {SCORES: _csv(scores), CANVAS: _csv(canvas), MOODLE: _csv(moodle)}


def _points(learner: Learner, exercise: str) -> str:
    """What a learner has for an exercise: nothing yet, if a person has to give it, and 0 without an answer."""
    result = learner.results.get(exercise)
    if result is None:
        return points(0)
    return "" if result.points is None else points(result.points)


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def _harmless(cell: str) -> str:
    text = printable_name(cell)
    # Spreadsheets strip spaces, and only then look for a formula.
    return f"'{text}" if cell.lstrip(" ").startswith(_FORMULA) else text
