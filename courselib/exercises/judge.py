"""Calls, what they returned, and the verdict.

A wrong answer gets the name of its mistake where it is a classic one: the answer returned, for every call, what that
mistake returns. Otherwise the verdict is the first call whose result is wrong.
"""

from __future__ import annotations

import json
import math
import random
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from courselib.calls import Outcome
from courselib.i18n import _

Arguments = tuple[Any, ...]
TOLERANCE = 1e-6
LONGEST = 160
# Calls of a sampler that are made twice.
REPEATED = 50


@dataclass(frozen=True)
class Mistake:
    """A classic wrong answer.

    Args:
        says: what it does wrong; never what would be right in code.
        does: the wrong function.
    """

    says: str
    does: Callable[..., Any]


@dataclass(frozen=True)
class Exercise(ABC):
    """One exercise's judge.

    Args:
        name: what ``courselib.check`` is called with.
        signature: the function, as the learner's copy has it.
        read: where to read about it.
        by_hand: whether a person gives the points; the judge sees only that there is something to grade.
    """

    name: str
    signature: str
    read: str
    by_hand: bool = field(default=False, kw_only=True)

    @abstractmethod
    def calls(self, seed: int) -> list[Arguments]:
        """The calls to make; other numbers for another seed."""

    @abstractmethod
    def fault(self, calls: Sequence[Arguments], outcomes: Sequence[Outcome]) -> str:
        """What is wrong, in words for the learner; empty where nothing is."""

    def verdict(self, calls: Sequence[Arguments], outcomes: Sequence[Outcome]) -> str:
        """``fault``, after what concerns every exercise: the stub is still there, or a call did not end well."""
        if any(outcome.unfinished for outcome in outcomes):
            return _("Nothing is written yet: replace the line that raises NotImplementedError by your answer.")
        for call, outcome in zip(calls, outcomes, strict=True):
            if outcome.stopped:
                return f"{self.shown(call)}: {outcome.stopped}"
            if outcome.error:
                text = _("{call} raised {error}")
                return text.format(call=self.shown(call), error=outcome.error)
        return self.fault(calls, outcomes)

    def shown(self, call: Arguments) -> str:
        """A call as one would write it, cut where it is long."""
        return f"{self.signature.partition('(')[0]}({', '.join(_short(each) for each in call)})"


@dataclass(frozen=True)
class Function(Exercise):
    """A function whose results are compared, call by call.

    Args:
        right: one right answer.
        inputs: arguments for calls, from a source of random numbers.
        mistakes: the classic ones, the most telling first.
    """

    right: Callable[..., Any]
    inputs: Callable[[random.Random], list[Arguments]]
    mistakes: tuple[Mistake, ...]

    def calls(self, seed: int) -> list[Arguments]:
        """The calls to make; other numbers for another seed."""
        return self.inputs(random.Random(seed))  # noqa: S311 - numbers of an exercise, the same for the same seed

    def fault(self, calls: Sequence[Arguments], outcomes: Sequence[Outcome]) -> str:
        """What is wrong with the first wrong result, and which mistake gives all of them."""
        expected = [self.right(*_copy(call)) for call in calls]
        wrong = [at for at, outcome in enumerate(outcomes) if not same(outcome.value, expected[at])]
        if not wrong:
            return ""
        at = wrong[0]
        text = _("{call} returned {value}; right is {right}.")
        found = text.format(call=self.shown(calls[at]), value=_short(outcomes[at].value), right=_short(expected[at]))
        for mistake in self.mistakes:
            if all(same(outcome.value, _tried(mistake, call)) for call, outcome in zip(calls, outcomes, strict=True)):
                return f"{_(mistake.says)}\n{found}"
        return found


@dataclass(frozen=True)
class Sampler(Exercise):
    """A function that draws, judged by how often each token comes: the last argument is a seed.

    Args:
        shares: probability of each token, for the arguments without the seed.
        settings: arguments without the seed, from a source of random numbers.
        mistakes: each with the probabilities that it draws from.
        draws: how many for each setting; a few of them are made twice, and must give the same token.
    """

    shares: Callable[..., list[float]]
    settings: Callable[[random.Random], list[Arguments]]
    mistakes: tuple[Mistake, ...]
    draws: int = 1500

    def calls(self, seed: int) -> list[Arguments]:
        """``draws`` calls for each setting, each with another seed but for the last ones, which repeat the first."""
        source = random.Random(seed)  # noqa: S311 - numbers of an exercise, the same for the same seed
        calls: list[Arguments] = []
        for each in self.settings(source):
            drawn = [(*each, source.getrandbits(32)) for _n in range(self.draws - REPEATED)]
            calls += [*drawn, *drawn[:REPEATED]]
        return calls

    def fault(self, calls: Sequence[Arguments], outcomes: Sequence[Outcome]) -> str:
        """Whether the tokens come as often as they should; the most likely mistake where they do not."""
        drawn: dict[str, Counter[int]] = {}
        tokens: dict[str, int] = {}
        for call, outcome in zip(calls, outcomes, strict=True):
            vocabulary = len(call[0])
            if type(outcome.value) is not int or not 0 <= outcome.value < vocabulary:
                text = _("{call} returned {value}; it must return a token: a whole number from 0 to {last}.")
                value = _short(outcome.value)
                return text.format(call=self.shown(call), value=value, last=vocabulary - 1)
            first = tokens.setdefault(json.dumps(call), outcome.value)
            if first != outcome.value:
                text = _(
                    "{call} returned {first}, and {value} when it was called again: the seed does not decide the draw."
                )
                return text.format(call=self.shown(call), first=first, value=outcome.value)
        for made, token in tokens.items():
            *setting, _seed = json.loads(made)
            drawn.setdefault(json.dumps(setting), Counter())[token] += 1
        if all(_fits(counts, self.shares(*json.loads(key))) for key, counts in drawn.items()):
            return ""
        for mistake in self.mistakes:
            if all(_fits(counts, mistake.does(*json.loads(key))) for key, counts in drawn.items()):
                return _(mistake.says)
        key, counts = next((k, c) for k, c in drawn.items() if not _fits(c, self.shares(*json.loads(k))))
        shares = self.shares(*json.loads(key))
        draws = sum(counts.values())
        token = max(range(len(shares)), key=lambda each: abs(counts[each] / draws - shares[each]))
        text = _("With {call} token {token} came in {seen} of {draws} draws; about {due} are right.")
        shown, due = self.shown((*json.loads(key), "seed")), round(shares[token] * draws)
        return text.format(call=shown, token=token, seen=counts[token], draws=draws, due=due)


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal, numbers up to rounding."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        try:
            return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=1e-9)
        except OverflowError:  # a whole number that no float holds
            return one == other
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and bool(one == other)


def _fits(counts: Counter[int], shares: list[float]) -> bool:
    """Whether counts may come from these probabilities: each within five standard errors, none where there is none."""
    draws = sum(counts.values())
    for token, share in enumerate(shares):
        if abs(counts[token] - draws * share) > 5 * math.sqrt(draws * share * (1 - share)) + 1e-6:
            return False
    return True


def _tried(mistake: Mistake, call: Arguments) -> Any:
    try:
        return mistake.does(*_copy(call))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        return error


def _copy(call: Arguments) -> Arguments:
    return tuple(json.loads(json.dumps(list(call))))


def _short(value: Any) -> str:
    text = repr(
        [round(each, 6) if isinstance(each, float) else each for each in value] if type(value) is list else value
    )
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
