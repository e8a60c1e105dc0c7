"""Wrong answers to an exercise, grouped by what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass

from courselib.exercises.judge import Exercise, Function, Sampler
from courselib.exercises.rules import Rules
from courselib.grading.book import Book, Learner
from courselib.i18n import _


@dataclass(frozen=True)
class Group:
    """Learners whose answers are wrong in the same way.

    Args:
        says: what is wrong.
        is_known: whether it is a mistake that the exercise knows.
        learners: whose answers they are.
    """

    says: str
    is_known: bool
    learners: tuple[Learner, ...]


def groups(book: Book, exercise: str) -> list[Group]:
    """The groups of an exercise: recognised mistakes first, then by size."""
    known = _sentences(book.assignments[exercise].judge)
    found: dict[str, list[Learner]] = {}
    for learner, result in book.answers(exercise):
        if result.verdict and not result.failed:
            found.setdefault(result.mistake or result.verdict.partition("\n")[0], []).append(learner)
    groups = [Group(says, says in known, tuple(learners)) for says, learners in found.items()]
    return sorted(groups, key=lambda each: (not each.is_known, -len(each.learners), each.says))


def _sentences(judge: Exercise) -> set[str]:
    """What the judge says of the mistakes that it knows."""
    if isinstance(judge, Function | Sampler):
        return {_(mistake.says) for mistake in judge.mistakes}
    return {_(rule.says) for rule in judge.rules} if isinstance(judge, Rules) else set()
