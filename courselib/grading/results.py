"""What grading one file gave, and the journal that keeps each result as soon as it is there.

A run that is broken off goes on where it stopped: a result is kept under what was graded, the exercise as it was and
the key, so that nothing is graded twice and nothing is taken for what it is not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from courselib.grading import rows
from courselib.grading.assignment import Assignment
from courselib.version import VERSION

LOG = "log.jsonl"


@dataclass(frozen=True)
class Result:
    """One graded file.

    Args:
        learner: whose it is.
        platform_id: the platform's number of the learner; may be empty.
        path: of the file, in what was handed in.
        exercise: the name of the exercise; empty where the file belongs to none.
        points: earned; ``None`` while a person has to give them.
        most: that can be earned.
        verdict: why the answer is not right, for the learner; empty where it is.
        notes: what was unusual about the file, for the learner.
        answer: the text of the answer cell.
        failed: what went wrong with grading itself, for the instructor; empty as a rule.
    """

    learner: str
    platform_id: str
    path: str
    exercise: str = ""
    points: float | None = 0
    most: float = 0
    verdict: str = ""
    notes: Sequence[str] = ()
    answer: str = ""
    failed: str = ""

    @property
    def mistake(self) -> str:
        """By what wrong answers are grouped: the first line of the verdict, where there is more than one."""
        first, _newline, rest = self.verdict.partition("\n")
        return first if rest else ""


def identity(data: bytes, learner: str, path: str, assignments: Sequence[Assignment], key: str) -> str:
    """Under what a result is kept: equal only where the same would be graded in the same way."""
    of_course = json.dumps([[each.name, each.points, each.before, each.stub, each.function] for each in assignments])
    names = "\0".join((VERSION, learner, path, key, of_course))
    parts = (names.encode("utf-8", "backslashreplace"), data)
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


class Journal:
    """Results on disk, a line each, in the order in which they came.

    Args:
        folder: of the results; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / LOG
        self.results: dict[str, Result] = {}
        rows.load(self._path, self._take)

    def add(self, identity: str, result: Result) -> None:
        """Keep a result; it is on the disk when this returns."""
        rows.add(self._path, {"identity": identity} | asdict(result))
        self.results[identity] = result

    def _take(self, kept: dict[str, Any]) -> None:
        name = kept.pop("identity")
        self.results[name] = Result(**kept | {"notes": tuple(kept["notes"])})
