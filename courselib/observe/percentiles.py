"""Percentiles of latencies, as a service promises them."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value such that at least ``percent`` per cent of all values are not greater (nearest rank).

    It is a latency that was measured; an interpolated one, numpy's default, may be one that no request had.

    Args:
        values: one or more, in any order, in any unit.
        percent: above 0, up to 100.

    Returns:
        One of the values; as ``numpy.percentile`` with ``method="inverted_cdf"``.

    Raises:
        ValueError: there are no values, or ``percent`` is out of its range.
    """
    if not values or not 0 < percent <= 100:
        raise ValueError(f"no {percent} % of {len(values)} values")
    # 95 % of 20 values is 19, but 0.95 * 20 may be a little more in floating point.
    rank = math.ceil(round(percent * len(values) / 100, 9))
    return sorted(values)[rank - 1]


def interval(values: Sequence[float], percent: float, *, confidence: float = 0.95) -> tuple[float, float | None]:
    """Two of the values between which the true percentile lies with this confidence, or more, for any distribution.

    Each value is below the true percentile with the probability ``percent / 100``; how many are is binomial, and that
    gives the ranks. It holds for values that do not depend on each other: waits in one queue do, and know less.

    Args:
        values: one or more, in any order, in any unit.
        percent: above 0, below 100.
        confidence: between 0 and 1.

    Returns:
        The lower and the upper end; the lower one is 0 and the upper one is None where there are too few values.

    Raises:
        ValueError: there are no values, or one of the other arguments is out of its range.
    """
    if not values or not 0 < percent < 100 or not 0 < confidence < 1:
        raise ValueError(f"no {percent} % of {len(values)} values with confidence {confidence}")
    n, share, tail, ordered = len(values), percent / 100, (1 - confidence) / 2, sorted(values)
    low, high, below = 0, None, 0.0
    for count in range(n):
        chance = math.exp(
            math.lgamma(n + 1) - math.lgamma(count + 1) - math.lgamma(n - count + 1)
            + count * math.log(share) + (n - count) * math.log1p(-share)
        )  # fmt: skip
        # ``below``: the probability that at most ``count`` values are below the percentile.
        below += chance
        if below <= tail:
            low = count + 1
        if high is None and below >= 1 - tail:
            high = count
    return (ordered[low - 1] if low else 0.0, None if high is None else ordered[high])
