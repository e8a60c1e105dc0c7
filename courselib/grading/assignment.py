"""What the course asks: an exercise with its cells, its points and its judge. Nothing of it comes from a submission."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from courselib.errors import SettingsError
from courselib.exercises import catalogue
from courselib.exercises.judge import Exercise
from courselib.i18n import _


@dataclass(frozen=True)
class Assignment:
    """An exercise as it is graded.

    Args:
        name: its file's stem, which is the answer cell's ``grade_id``, too.
        title: of its notebook.
        lesson: the lesson that it belongs to.
        points: for a right answer.
        before: the course's code cells before the answer, but for the set-up.
        stub: what the answer cell holds when it is handed out.
        function: the name that the check calls.
        given: all code cells of the learner's copy, by which a learner's own cells are told apart.
        judge: gives the verdict.
    """

    name: str
    title: str
    lesson: str
    points: float
    before: tuple[str, ...]
    stub: str
    function: str
    given: frozenset[str]
    judge: Exercise

    @property
    def defines(self) -> tuple[str, ...]:
        """The names of the functions that the learner is to write."""
        return tuple(re.findall(r"^def (\w+)", self.stub, re.MULTILINE))


def read_assignments(folder: Path) -> dict[str, Assignment]:
    """The exercises of a folder with learners' copies, by name.

    Raises:
        SettingsError: there is no exercise in the folder.
    """
    found = {path.stem: _read(path) for path in sorted(folder.glob("*.ipynb"))}
    if not found:
        text = _("There are no exercises in {folder}. Run this in the course's folder.")
        raise SettingsError(text.format(folder=folder))
    return found


def source_of(cell: dict[str, Any]) -> str:
    """A cell's text, which nbformat allows to be one string or a list of lines."""
    source = cell.get("source", "")
    return source if isinstance(source, str) else "".join(source)


def _read(path: Path) -> Assignment:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    at = next(n for n, cell in enumerate(cells) if cell["metadata"].get("nbgrader", {}).get("solution"))
    check = next(cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("locked"))
    call = next(
        node
        for node in ast.walk(ast.parse(source_of(check)))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "courselib.check"
    )
    judge, function = ast.literal_eval(call.args[0]), ast.unparse(call.args[1])
    title = re.search(r"^# (.+)$", source_of(notebook["cells"][0]), re.MULTILINE)
    about = notebook["metadata"]["courselib"]
    return Assignment(
        name=path.stem,
        title=title[1] if title else path.stem,
        lesson=about["lesson"],
        points=about["points"],
        before=tuple(source_of(cell) for cell in cells[:at] if "setup" not in cell["metadata"].get("tags", ())),
        stub=source_of(cells[at]),
        function=function,
        given=frozenset(source_of(cell).strip() for cell in cells),
        judge=catalogue.exercises()[judge],
    )
