"""What a person who grades by hand looks at: the question, a right answer, and what full points ask for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from courselib.grading.assignment import source_of


@dataclass(frozen=True)
class Rubric:
    """Of one exercise, as Markdown but for the answer.

    Args:
        question: as learners have it.
        answer: a right one, as Python; empty where the solutions are not here.
        reasons: why it is right, and classic mistakes; empty where the solutions are not here.
    """

    question: str
    answer: str = ""
    reasons: str = ""


def read_rubric(course: Path, name: str) -> Rubric:
    """The rubric of an exercise.

    Args:
        course: the folder with ``exercises`` and, on an instructor's machine, ``solutions``; both in English.
        name: of the exercise.
    """
    solution = course / "solutions" / "en" / f"{name}.ipynb"
    if not solution.is_file():
        return Rubric(_question(_cells(course / "exercises" / "en" / f"{name}.ipynb")))
    cells = _cells(solution)
    answer = next(source_of(cell) for cell in cells if cell["metadata"].get("nbgrader", {}).get("solution"))
    reasons = [source_of(cell) for cell in cells if "solution" in cell["metadata"].get("tags", ())]
    return Rubric(_question(cells), answer, "\n\n".join(reasons))


def _cells(path: Path) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return cells


def _question(cells: list[dict[str, Any]]) -> str:
    return next(source_of(cell) for cell in cells if source_of(cell).startswith("# "))
