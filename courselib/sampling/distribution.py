"""What is to be said of a distribution over the vocabulary, and of two of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from courselib.sampling.candidates import Candidates, Floats
from courselib.sampling.pipeline import Outcome, State, Step

# Probabilities further apart than this differ by more than rounding.
SAME = 1e-9


def softmax(logits: ArrayLike) -> Floats:
    """Probabilities of logits, in double precision, shape (vocabulary,).

    Raises:
        SettingsError: a logit is NaN or +inf, or all are -inf.
    """
    candidates = Candidates.of(logits)
    return candidates.full(candidates.probabilities, 0.0)


def entropy(probabilities: Floats) -> float:
    """Average surprise, in bits: 0 where one token is certain, log2(n) where n are equally likely."""
    some = probabilities[probabilities > 0]
    return float(-(some * np.log2(some)).sum()) + 0.0


def perplexity(probabilities: Floats) -> float:
    """How many equally likely tokens would be as uncertain: 2 to the power of the entropy."""
    return float(2.0 ** entropy(probabilities))


def survivors(probabilities: Floats) -> int:
    """How many tokens can be drawn at all."""
    return int(np.count_nonzero(probabilities))


def top(probabilities: Floats, n: int) -> list[tuple[int, float]]:
    """The ``n`` likeliest tokens that can be drawn, with their probabilities; of equals the lowest ids."""
    with np.errstate(divide="ignore"):
        candidates = Candidates.of(np.log(probabilities))
    return [(int(token), float(probabilities[token])) for token in candidates.ids[candidates.best(n)]]


def total_variation(left: Floats, right: Floats) -> float:
    """The greatest difference in probability that any set of tokens can show: 0 if alike, 1 if nothing in common."""
    return float(np.abs(left - right).sum() / 2)


class Overlap(NamedTuple):
    """How many tokens can be drawn from both of two distributions, and from one of them only."""

    both: int
    left: int
    right: int


def overlap(left: Floats, right: Floats) -> Overlap:
    """How far two distributions allow the same tokens."""
    in_left, in_right = left > 0, right > 0
    return Overlap(int((in_left & in_right).sum()), int((in_left & ~in_right).sum()), int((~in_left & in_right).sum()))


class Divergence(NamedTuple):
    """Where two pipelines part: the steps, one of them None where that pipeline was at its end already."""

    left: Step | None
    right: Step | None


def first_divergence(left: Outcome, right: Outcome) -> Divergence | None:
    """The first steps after which two pipelines, run on the same logits, no longer agree; None if they always do.

    What is off is passed over. Two pipelines that end with the same distribution may have parted on the way.
    """
    ours, theirs = ([step for step in outcome.steps if step.is_on] for outcome in (left, right))
    for i in range(max(len(ours), len(theirs))):
        mine, other = (steps[i] if i < len(steps) else None for steps in (ours, theirs))
        if not _alike(mine or left.end, other or right.end):
            return Divergence(mine, other)
    return None


def _alike(left: State, right: State) -> bool:
    return bool(np.abs(left.probabilities - right.probabilities).max() <= SAME)
