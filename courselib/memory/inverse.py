"""The question turned round: the largest setting that still fits."""

from __future__ import annotations

from collections.abc import Callable


def largest(fits: Callable[[int], bool], most: int) -> int:
    """The largest whole number from 1 to ``most`` for which ``fits`` holds, 0 if it holds for none.

    Args:
        fits: must not hold again once it has failed for a smaller number.
        most: the largest worth trying.
    """
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low
