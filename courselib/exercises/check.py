"""``courselib.check``: an answer judged in the learner's own notebook, at once and without a network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from courselib.calls import Outcome, filled, outcomes
from courselib.errors import CheckFailed, SettingsError
from courselib.exercises import catalogue, rigs
from courselib.exercises.judge import Arguments, Exercise
from courselib.exercises.rules import Rules
from courselib.i18n import _


class Passed:
    """A right answer, or one that a person can grade; its text says so."""

    def __init__(self, name: str, calls: int, *, by_hand: bool = False) -> None:
        self.name, self.calls, self.by_hand = name, calls, by_hand

    def __repr__(self) -> str:
        if self.by_hand:
            return _("{name}: written. A person gives the points.").format(name=self.name)
        if self.calls == 1:
            return _("{name}: right.").format(name=self.name)
        return _("{name}: right, in {n} calls.").format(name=self.name, n=self.calls)


def check(name: str, answer: Callable[..., Any], *, key: str = "") -> Passed:
    """Judge an answer to an exercise.

    Args:
        name: the exercise's, as in its notebook.
        answer: your function.
        key: a course's key with a learner's name; other numbers for each.

    Raises:
        CheckFailed: the answer is wrong; the message says in which call, and where to read.
        SettingsError: there is no such exercise, or the answer is no function.
    """
    exercises = catalogue.exercises()
    if name not in exercises:
        text = _("There is no exercise {name!r}; there are: {names}.")
        raise SettingsError(text.format(name=name, names=", ".join(sorted(exercises))))
    if not callable(answer):
        raise SettingsError(
            _("Give check the function itself: courselib.check({name!r}, f), not f(…).").format(name=name)
        )
    exercise = exercises[name]
    calls = exercise.calls(seed_of(key))
    fault = exercise.verdict(calls, made(exercise, answer, calls))
    if fault:
        where = _("Read: {where}.").format(where=_(exercise.read))
        raise CheckFailed(_("{name}: not yet.").format(name=name) + f"\n{fault}\n{where}")
    return Passed(name, len(calls), by_hand=exercise.by_hand)


def seed_of(key: str) -> int:
    """The seed of a course's key: the same on every machine."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")


def made(exercise: Exercise, answer: Callable[..., Any], calls: Sequence[Arguments]) -> list[Outcome]:
    """Make an exercise's calls, against the server that it asks for, if it asks for one."""
    if isinstance(exercise, Rules) and exercise.records:
        with rigs.recording(answer) as recorded:
            return filled(list(outcomes(recorded, calls)), len(calls))
    return filled(list(outcomes(answer, calls)), len(calls))
