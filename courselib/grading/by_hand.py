"""Points that a person gives: a journal of its own, so that no run of the grader can lose them.

Points belong to what was written and not to a run: the same answer of the same learner keeps them when it is graded
again, with another key or by another version. Another answer has to be read anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from courselib.grading import rows
from courselib.grading.results import Result

JOURNAL = "by_hand.jsonl"


@dataclass(frozen=True)
class Mark:
    """What a person gave for an answer.

    Args:
        points: earned.
        comment: for the learner; may be empty.
    """

    points: float
    comment: str = ""


def name_of(result: Result) -> str:
    """Under what the points of an answer are kept."""
    parts = (result.exercise, result.learner, result.platform_id, result.answer)
    hashes = [hashlib.sha256(part.encode("utf-8", "surrogatepass")).digest() for part in parts]
    return hashlib.sha256(b"".join(hashes)).hexdigest()


class Marks:
    """The points given by hand, on disk a line each; of two for one answer, the later line counts.

    Args:
        folder: of the results.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL
        self._marks: dict[str, Mark] = {}
        rows.load(self._path, self._take)

    def of(self, result: Result) -> Mark | None:
        """What was given for an answer."""
        return self._marks.get(name_of(result))

    def give(self, result: Result, mark: Mark) -> None:
        """Keep what a person gave; it is on the disk when this returns."""
        name = name_of(result)
        rows.add(self._path, {"answer": name} | asdict(mark))
        self._marks[name] = mark

    def applied(self, results: Iterable[Result]) -> list[Result]:
        """Results with the points that were given."""
        return [self._applied(result) for result in results]

    def _applied(self, result: Result) -> Result:
        mark = self.of(result) if result.points is None else None
        return replace(result, points=mark.points) if mark else result

    def _take(self, kept: dict[str, Any]) -> None:
        name = kept.pop("answer")
        self._marks[name] = Mark(**kept)


def to_give(results: Sequence[Result]) -> list[Result]:
    """Answers that a person grades: exercise by exercise, in an order that says nothing of the learners."""
    return sorted((each for each in results if each.points is None), key=lambda each: (each.exercise, name_of(each)))
