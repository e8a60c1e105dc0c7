"""An exercise on what a seed fixes: the draws, and not the probabilities."""

from __future__ import annotations

from random import Random

from courselib.exercises.judge import Arguments, Exercise, Function, Mistake
from courselib.i18n import N_

Shares = list[list[float]]


def parts_at(one: Shares, other: Shares, randoms: list[float]) -> int:
    """The first step at which the same random number draws different tokens from two distributions; -1 for none."""
    draws = ((_drawn(a, u), _drawn(b, u)) for a, b, u in zip(one, other, randoms, strict=True))
    return next((step for step, (first, second) in enumerate(draws) if first != second), -1)


def _drawn(shares: list[float], random: float) -> int:
    return next(token for token in range(len(shares)) if sum(shares[: token + 1]) > random)


def _likeliest(shares: list[float]) -> int:
    return max(range(len(shares)), key=shares.__getitem__)


def _shares_differ(one: Shares, other: Shares, _randoms: list[float]) -> int:
    return next((step for step, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), -1)


def _greedy_differs(one: Shares, other: Shares, _randoms: list[float]) -> int:
    pairs = enumerate(zip(one, other, strict=True))
    return next((step for step, (a, b) in pairs if _likeliest(a) != _likeliest(b)), -1)


def _build_inputs(source: Random) -> list[Arguments]:
    def shares(*weights: float) -> list[float]:
        return [each / sum(weights) for each in weights]

    def drawn(steps: int) -> Arguments:
        one = [[source.randint(2, 9) for _token in range(4)] for _step in range(steps)]
        other = [[each + source.choice([-0.3, 0.3]) for each in weights] for weights in one]
        return [shares(*each) for each in one], [shares(*each) for each in other], [source.random() for _step in one]

    # The borders of step 2 are on both sides of its random number; then two that have the same draws.
    one, other = (
        [[0.55, 0.45], [0.6, 0.4], [0.3, 0.7], [0.51, 0.49]],
        [[0.57, 0.43], [0.6, 0.4], [0.33, 0.67], [0.49, 0.51]],
    )
    same = ([[0.51, 0.49]], [[0.49, 0.51]], [0.9])
    return [(one, other, [0.1, 0.9, 0.32, 0.2]), same, drawn(6), drawn(30)]


EXERCISES: tuple[Exercise, ...] = (
    Function(
        "first_difference",
        "parts_at(one, other, randoms)",
        N_("lesson 22, Seeds and repeatability"),
        parts_at,
        _build_inputs,
        (
            Mistake(
                N_("The probabilities are compared; slightly different ones mostly draw the same token."),
                _shares_differ,
            ),
            Mistake(N_("The most likely tokens are compared: nothing is drawn here."), _greedy_differs),
            Mistake(
                N_("The first random number is used in every step; each step has its own."),
                lambda one, other, randoms: parts_at(one, other, randoms[:1] * len(randoms)),
            ),
        ),
    ),
)
