"""Waits in one queue before several slots: by Erlang's formula, and by a simulation that can drop its assumptions.

The formula (M/M/c) assumes that requests arrive independently of each other, that the times for which they hold a slot
have an exponential distribution, that the load has lasted for long, and that a free slot takes the next request of one
common queue. Source: L. Kleinrock, Queueing Systems, volume 1, 1975, section 3.5.
"""

from __future__ import annotations

import heapq
import math
import random

from courselib.checks import check_positive, check_share, check_whole
from courselib.errors import SettingsError
from courselib.i18n import _


def erlang_c(slots: int, offered: float) -> float:
    """The share of requests that find all slots busy and have to wait.

    Args:
        slots: how many there are.
        offered: requests in slots on average (arrivals a second, times the seconds for which one holds a slot).

    Returns:
        From 0 to 1; 1 where the slots cannot keep up.

    Raises:
        SettingsError: no slot, or a load that is not positive.
    """
    check_whole("slots", slots, 1)
    check_positive("offered", offered)
    if offered >= slots:
        return 1.0
    blocked = 1.0  # Erlang's formula B, slot by slot: no factorial, so nothing overflows
    for count in range(1, slots + 1):
        blocked = offered * blocked / (count + offered * blocked)
    return blocked / (1 - offered / slots * (1 - blocked))


def wait_s(slots: int, per_s: float, service_s: float, *, percent: float = 95) -> float:
    """The wait for a slot that ``percent`` per cent of all requests do not exceed, in seconds.

    Args:
        slots: how many there are.
        per_s: requests that arrive a second.
        service_s: seconds for which a request holds its slot, on average.
        percent: of the requests; above 0, below 100.

    Returns:
        0 where so many requests find a free slot; infinity where the slots cannot keep up.

    Raises:
        SettingsError: an argument is out of range.
    """
    check_positive("per_s", per_s)
    check_positive("service_s", service_s)
    tail = 1 - _share(percent)
    waiting = erlang_c(slots, per_s * service_s)
    spare = slots / service_s - per_s
    if spare <= 0:
        return math.inf
    return max(0.0, math.log(waiting / tail) / spare) if waiting else 0.0


def simulate(
    slots: int, per_s: float, service_s: float, *, requests: int, seed: int = 0, spread: float | None = None
) -> list[float]:
    """The waits of requests that arrive at random, first come, first served; the first one finds all slots free.

    Args:
        slots: how many there are.
        per_s: requests that arrive a second, on average.
        service_s: seconds for which a request holds its slot, on average.
        requests: how many arrive.
        seed: of arrivals and times.
        spread: standard deviation of the logarithm of the time in a slot (log-normal; 0 makes all alike); None for an
            exponential distribution.

    Returns:
        Seconds for which each request waited for a slot, in the order of arrival.

    Raises:
        SettingsError: an argument is out of range.
    """
    check_whole("slots", slots, 1)
    check_whole("requests", requests, 1)
    check_positive("per_s", per_s)
    check_positive("service_s", service_s)
    if spread is not None and not 0 <= spread < math.inf:
        raise SettingsError(_("spread is {spread!r}; give 0, a positive number, or None.").format(spread=spread))
    source = random.Random(seed)  # noqa: S311 - repeatable, and no secret
    free_at, now, waits = [0.0] * slots, 0.0, []
    for _request in range(requests):
        now += source.expovariate(per_s)
        begins = max(now, free_at[0])
        heapq.heapreplace(free_at, begins + _time_in_slot(source, service_s, spread))
        waits.append(begins - now)
    return waits


def _time_in_slot(source: random.Random, service_s: float, spread: float | None) -> float:
    if spread is None:
        return source.expovariate(1 / service_s)
    return service_s * math.exp(spread * source.gauss(0, 1) - spread**2 / 2)  # the mean is service_s for any spread


def _share(percent: float) -> float:
    check_share("percent", percent, most=99.999)
    return percent / 100
