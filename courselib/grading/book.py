"""Results by learner and exercise: what tables and pages are made of."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from courselib.grading.assignment import Assignment
from courselib.grading.by_hand import Marks
from courselib.grading.results import Result
from courselib.grading.run import latest


@dataclass(frozen=True)
class Learner:
    """One learner's results.

    Args:
        name: as the folder or the platform names them.
        platform_id: the platform's number of the learner; may be empty.
        results: by exercise, of those that count.
        strays: of files that belong to no exercise.
    """

    name: str
    platform_id: str
    results: Mapping[str, Result]
    strays: tuple[Result, ...] = ()

    @property
    def total(self) -> float:
        """Points so far."""
        return sum(each.points or 0 for each in self.results.values())

    @property
    def waits(self) -> int:
        """How many answers wait for a person's points."""
        return sum(each.points is None for each in self.results.values())

    @property
    def page(self) -> str:
        """The name of the feedback page: readable, harmless as a file's name, and no other learner's."""
        plain = unicodedata.normalize("NFKD", self.name).encode("ascii", "ignore").decode().lower()
        readable = re.sub(r"[^a-z0-9]+", "-", plain)[:40].strip("-")
        whole = f"{self.name}\0{self.platform_id}".encode("utf-8", "surrogatepass")
        return f"{readable}-{hashlib.sha256(whole).hexdigest()[:10]}.html".lstrip("-")


@dataclass(frozen=True)
class Book:
    """All that count of a run's results.

    Args:
        results: of each learner and exercise the last file; with the points that were given by hand.
        assignments: the exercises that count, by name.
        marks: what was given by hand.
        is_unsafe: whether learners' code was run with limits only.
    """

    results: tuple[Result, ...]
    assignments: Mapping[str, Assignment]
    marks: Marks
    is_unsafe: bool = field(default=False)

    @classmethod
    def of(
        cls, results: Iterable[Result], assignments: Mapping[str, Assignment], marks: Marks, *, is_unsafe: bool
    ) -> Book:
        """The book of a run, in the order of its submissions."""
        newest = [each for each in latest(list(results)) if each.exercise in assignments or not each.exercise]
        return cls(tuple(marks.applied(newest)), assignments, marks, is_unsafe)

    @cached_property
    def learners(self) -> list[Learner]:
        """The learners, by name."""
        of_learner: dict[tuple[str, str], list[Result]] = {}
        for each in self.results:
            of_learner.setdefault((each.learner, each.platform_id), []).append(each)
        return [
            Learner(
                *who,
                {each.exercise: each for each in theirs if each.exercise},
                tuple(each for each in theirs if not each.exercise),
            )
            for who, theirs in sorted(of_learner.items())
        ]

    @property
    def most(self) -> float:
        """Points of all exercises."""
        return sum(each.points for each in self.assignments.values())

    def answers(self, exercise: str) -> list[tuple[Learner, Result]]:
        """The answers to an exercise, in the learners' order."""
        return [(each, each.results[exercise]) for each in self.learners if exercise in each.results]


def points(number: float) -> str:
    """Points as they are written: without zeros behind the point."""
    return f"{number:.4f}".rstrip("0").rstrip(".")


def percent(share: float) -> str:
    """A share as whole percent, never broken at the end of a line."""
    return f"{100 * share:.0f}\u00a0%"
