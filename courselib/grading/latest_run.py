"""What the last run graded, so that tables and pages can be written again when a person has given points."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from courselib.errors import SettingsError
from courselib.files import write_whole
from courselib.grading.results import Journal, Result
from courselib.i18n import _

FILE = "run.json"


@dataclass(frozen=True)
class LatestRun:
    """A run.

    Args:
        results: under what the journal keeps its results, in the order of the submissions.
        exercises: those that count.
        is_unsafe: whether this run, or one before it in the same folder, ran learners' code with limits only.
        is_finished: whether it came to its end.
    """

    results: tuple[str, ...] = ()
    exercises: tuple[str, ...] = ()
    is_unsafe: bool = False
    is_finished: bool = False

    def save(self, folder: Path) -> None:
        """Keep it with the results."""
        write_whole(folder / FILE, json.dumps(asdict(self)))


def begin(folder: Path, *, is_unsafe: bool) -> LatestRun:
    """A run begins. What unsafe code may have changed stays in doubt, however the folder is used afterwards."""
    before = _read(folder)
    run = LatestRun(is_unsafe=is_unsafe or (before is not None and before.is_unsafe))
    run.save(folder)
    return run


def end(folder: Path, run: LatestRun, journal: Journal, results: Sequence[Result], exercises: Sequence[str]) -> None:
    """A run has come to its end."""
    names = {result: name for name, result in journal.results.items()}
    found = tuple(names[each] for each in results)
    LatestRun(found, tuple(exercises), run.is_unsafe, is_finished=True).save(folder)


def read(folder: Path) -> LatestRun:
    """The last run.

    Raises:
        SettingsError: there is none, or it was broken off.
    """
    run = _read(folder)
    if run is None or not run.is_finished:
        text = _("There are no finished results in {folder}. Run `courselib grade SUBMISSIONS --out {folder}` first.")
        raise SettingsError(text.format(folder=folder))
    return run


def _read(folder: Path) -> LatestRun | None:
    path = folder / FILE
    if not path.is_file():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    return LatestRun(**kept | {"results": tuple(kept["results"]), "exercises": tuple(kept["exercises"])})
