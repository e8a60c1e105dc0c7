"""Answers judged by rules: what has no single right value, and predictions, whose right value must not be shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from courselib.calls import Outcome
from courselib.exercises.judge import Arguments, Exercise
from courselib.i18n import _

Broken = Callable[..., bool]


@dataclass(frozen=True)
class Rule:
    """One thing an answer must be.

    Args:
        says: what is wrong where it is not; never what would be right.
        broken: whether a result, then the arguments of its call, break the rule.
    """

    says: str
    broken: Broken


@dataclass(frozen=True)
class Rules(Exercise):
    """A function whose results are judged by rules; the first rule that is broken is told.

    Args:
        inputs: arguments for calls, from a source of random numbers.
        rules: in the order in which they are looked at.
        records: whether the function sends requests; it is given a server's url and key first, and a result is what it
            returned or raised and what arrived (``courselib.exercises.rigs``).
    """

    inputs: Callable[[Random], list[Arguments]]
    rules: tuple[Rule, ...]
    records: bool = False

    def calls(self, seed: int) -> list[Arguments]:
        """The calls to make; other numbers for another seed."""
        return self.inputs(Random(seed))  # noqa: S311 - numbers of an exercise, the same for the same seed

    def fault(self, calls: Sequence[Arguments], outcomes: Sequence[Outcome]) -> str:
        """The first rule that a result breaks, in words, and the exception of a function that sends requests."""
        for rule in self.rules:
            for call, outcome in zip(calls, outcomes, strict=True):
                if _breaks(rule, outcome.value, call):
                    return "\n".join([_(rule.says), *self._raised(call, outcome)])
        raised = [line for pair in zip(calls, outcomes, strict=True) for line in self._raised(*pair)]
        return raised[0] if raised else ""

    def _raised(self, call: Arguments, outcome: Outcome) -> list[str]:
        """What the learner's function raised while its requests were recorded, as a line; none where it returned."""
        error = outcome.value.get("raised") if self.records and isinstance(outcome.value, dict) else ""
        return [_("{call} raised {error}").format(call=self.shown(call), error=error)] if error else []


def _breaks(rule: Rule, value: Any, call: Arguments) -> bool:
    try:
        return rule.broken(value, *call)
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
        # What a rule cannot even look at breaks it.
        return True
