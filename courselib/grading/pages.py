"""What is written at the end of a run: tables and pages, all of them from the results alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from courselib.grading import scores
from courselib.grading.assignment import Assignment
from courselib.grading.results import Result
from courselib.grading.run import latest

INDEX = "index.html"


def write(out: Path, results: Sequence[Result], assignments: Mapping[str, Assignment]) -> None:
    """Write everything; the same results give the same bytes."""
    for name, text in scores.tables(latest(results), assignments).items():
        (out / name).write_text(text, encoding="utf-8")
