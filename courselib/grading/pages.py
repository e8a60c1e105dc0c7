"""What is written at the end of a run: tables and pages, all of them from the results and the points given by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from courselib.grading import scores
from courselib.grading.assignment import Assignment
from courselib.grading.book import Book
from courselib.grading.by_hand import Marks
from courselib.grading.feedback import feedback
from courselib.grading.overview import FEEDBACK, overview
from courselib.grading.results import Result

INDEX = "index.html"


def write(
    out: Path, results: Sequence[Result], assignments: Mapping[str, Assignment], *, is_unsafe: bool = False
) -> None:
    """Write everything; the same results give the same bytes.

    Args:
        out: the folder of the results, with the points that were given by hand.
        results: in the order of the submissions.
        assignments: the exercises that count, by name.
        is_unsafe: whether learners' code was run with limits only.
    """
    book = Book.of(results, assignments, Marks(out), is_unsafe=is_unsafe)
    for name, text in scores.tables(book).items():
        _write(out / name, text)
    folder = out / FEEDBACK
    folder.mkdir(exist_ok=True)
    pages = {each.page: feedback(each, book) for each in book.learners}
    for name, text in pages.items():
        _write(folder / name, text)
    for path in folder.glob("*.html"):
        if path.name not in pages:
            # Of a learner who is no longer among the submissions.
            path.unlink()
    _write(out / INDEX, overview(book))


def _write(path: Path, text: str) -> None:
    # The same bytes on each system: no line ends of its own.
    path.write_bytes(text.encode())
