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
