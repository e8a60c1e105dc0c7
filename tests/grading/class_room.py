"""Submissions made and graded as ``courselib grade`` does, with limits that a test can wait for."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from courselib.grading import pages
from courselib.grading.collect import collect
from courselib.grading.confined import Limits
from courselib.grading.results import Journal, Result
from courselib.grading.run import Plan, run
from courselib.models.cache import cache_folder

# Of what waits for a limit, many go into a minute; a right answer takes a twentieth of it.
SHORT = Limits(start_s=10, call_s=4, total_s=14, memory_bytes=2**29, processes=32, files=500)


def with_answer(notebook: dict[str, Any], code: str) -> dict[str, Any]:
    """The notebook with another answer."""
    changed = copy.deepcopy(notebook)
    answer_cell(changed)["source"] = code
    return changed


def answer_cell(notebook: dict[str, Any]) -> dict[str, Any]:
    """The cell with the answer."""
    return next(cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("solution"))


def hand_in(folder: Path, learner: str, exercise: str, notebook: dict[str, Any] | bytes) -> None:
    """Put a notebook into a learner's folder."""
    data = notebook if isinstance(notebook, bytes) else json.dumps(notebook).encode()
    path = folder / learner / f"{exercise}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def grade(
    submissions: Path, out: Path, assignments, *, jobs=2, key="a key", limits=SHORT, unsafe=False
) -> list[Result]:
    """Grade a folder or zip; tables and pages are written to ``out``."""
    plan = Plan(assignments, key, cache_folder() / "models", limits, unsafe)
    results = run(collect(submissions), plan, Journal(out), jobs=jobs, told=lambda *_: None)
    counted = {name: each for name, each in assignments.items() if name in {result.exercise for result in results}}
    pages.write(out, results, counted)
    return results
