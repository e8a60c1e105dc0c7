"""The learner's part of a notebook: the answer cell, and definitions in cells of their own. All else is the course's.

Nothing of it is parsed as Python here: a text can be made that takes the parser down, and that is for the confined
process to suffer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from courselib.grading.assignment import Assignment, source_of
from courselib.i18n import _

MOST_CHARACTERS = 200_000
_MAGIC = re.compile(r"^[%!].*$\n?", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """A learner's answer to an exercise.

    Args:
        assignment: which one.
        source: the answer cell.
        own: the learner's other code cells, of which definitions and imports are used.
        notes: what was found to be unusual, as sentences for the learner.
    """

    assignment: Assignment
    source: str
    own: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Unreadable(Exception):
    """There is no answer in what was handed in; the message is a sentence for the learner."""


def find(data: bytes, file: str, assignments: Mapping[str, Assignment]) -> Answer:
    """The answer in a notebook.

    Args:
        data: the notebook.
        file: its name, which tells the exercise where the cells do not.
        assignments: the course's, by name.

    Raises:
        Unreadable: it is no notebook, belongs to no exercise, or has no answer cell.
    """
    cells = _code_cells(data)
    ids = [_grade_id(cell) for cell in cells]
    named = next((name for name in ids if name in assignments), None) or _by_file(file, assignments)
    if named is None:
        raise Unreadable(_("This notebook belongs to none of the course's exercises."))
    assignment = assignments[named]
    notes: list[str] = []
    by_file = _by_file(file, assignments)
    if by_file and by_file != named:
        text = _("The file's name says {file}, its cells say {cells}; the cells were believed.")
        notes.append(text.format(file=by_file, cells=named))
    at = _answer_cell(cells, assignment, notes)
    source = _without_magics(cells[at], notes)
    if len(source) > MOST_CHARACTERS:
        raise Unreadable(_("The answer has {n} characters, more than is read.").format(n=len(source)))
    changed = [name for name in (f"{named}-check",) if ids.count(name) != 1]
    if changed:
        notes.append(_("The check cell is missing or was copied; the course's own was used."))
    own = tuple(
        _MAGIC.sub("", source_of(cell))
        for n, cell in enumerate(cells)
        if n != at and ids[n] is None and source_of(cell).strip() not in assignment.given
    )
    return Answer(assignment, source, own, tuple(notes))


def _code_cells(data: bytes) -> list[dict[str, Any]]:
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
        cells = [cell for cell in notebook["cells"] if isinstance(cell, dict) and cell.get("cell_type") == "code"]
        for cell in cells:
            source_of(cell)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(_("The file is no notebook that can be read: broken or cut short.")) from error
    return cells


def _grade_id(cell: Mapping[str, Any]) -> str | None:
    metadata = cell.get("metadata")
    about = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    name = about.get("grade_id") if isinstance(about, dict) else None
    return name if isinstance(name, str) else None


def _by_file(file: str, assignments: Mapping[str, Assignment]) -> str | None:
    return next((name for name in assignments if name in file), None)


def _answer_cell(cells: list[dict[str, Any]], assignment: Assignment, notes: list[str]) -> int:
    """Which cell is the answer: by its id, or, where that is lost, by the functions that it defines."""
    marked = [n for n, cell in enumerate(cells) if _grade_id(cell) == assignment.name]
    if not marked:
        define = re.compile(rf"^def ({'|'.join(map(re.escape, assignment.defines))})\b", re.MULTILINE)
        marked = [n for n, cell in enumerate(cells) if define.search(source_of(cell))]
        if not marked:
            raise Unreadable(_("The cell with the answer is missing."))
        notes.append(_("The answer cell has lost its mark; it was found by the function that it defines."))
    written = [n for n in marked if source_of(cells[n]).strip() != assignment.stub.strip()]
    if len(written) > 1:
        notes.append(_("There are {n} answer cells; the last one was graded.").format(n=len(written)))
    return (written or marked)[-1]


def _without_magics(cell: Mapping[str, Any], notes: list[str]) -> str:
    source = source_of(dict(cell))
    bare = _MAGIC.sub("", source)
    if bare != source:
        notes.append(_("Lines that begin with % or ! were left out: only Python is run."))
    return bare
