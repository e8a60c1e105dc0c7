"""From people to servers: requests at once by Little's law, servers by a limit of their load and by a promise.

The model of a server is a simple one. With all of its ``at_once`` slots busy it reads ``prefill`` tokens of prompts a
second, or generates ``decode`` tokens of answers, all slots together. So a request takes
``prompt / prefill + answer / decode`` seconds of the server, and holds its slot ``at_once`` times as long. With free
slots, each request is faster than this, so waits at low load are shorter than planned; the load that a server can carry
is the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from courselib.checks import check_positive, check_share, check_whole
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.planning.queueing import wait_s

HOUR_S = 3600
MOST_UTILISATION = 0.99
HALVINGS = 40  # of an interval: leaves a millionth of a millionth
MOST_SLOTS = 100_000  # the formula goes through them one by one


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What people ask of the servers.

    Args:
        users: how many people.
        per_hour: requests of each of them in the busiest hour.
        prompt: tokens of a prompt, on average.
        answer: tokens of an answer, on average.
        busy_hours: a day has as many requests as this many of its busiest hours.

    Raises:
        SettingsError: a number is not positive.
    """

    users: int
    per_hour: float
    prompt: float
    answer: float
    busy_hours: float = 6

    def __post_init__(self) -> None:
        check_whole("users", self.users, 1)
        for name in ("per_hour", "prompt", "answer", "busy_hours"):
            check_positive(name, getattr(self, name))

    @property
    def per_s(self) -> float:
        """Requests a second in the busiest hour, of all users together."""
        return self.users * self.per_hour / HOUR_S

    @property
    def per_day(self) -> float:
        """Requests a day."""
        return self.users * self.per_hour * self.busy_hours


@dataclass(frozen=True, kw_only=True)
class Speeds:
    """What one server was measured to do while all its slots were busy.

    Args:
        prefill: tokens of prompts read a second, all slots together, while it does nothing else.
        decode: tokens of answers generated a second, all slots together, while it does nothing else.
        at_once: requests at once during these measurements: the server's slots.

    Raises:
        SettingsError: a number is not positive.
    """

    prefill: float
    decode: float
    at_once: int

    def __post_init__(self) -> None:
        check_positive("prefill", self.prefill)
        check_positive("decode", self.decode)
        check_whole("at_once", self.at_once, 1)

    def busy_s(self, demand: Demand) -> float:
        """Seconds of a whole server that one request takes."""
        return demand.prompt / self.prefill + demand.answer / self.decode

    def service_s(self, demand: Demand) -> float:
        """Seconds for which a request holds its slot, while all slots are busy."""
        return self.at_once * self.busy_s(demand)

    def reading_s(self, demand: Demand) -> float:
        """Seconds from getting a slot to the first token, while all slots are busy."""
        return self.at_once * demand.prompt / self.prefill

    @property
    def each_token_s(self) -> float:
        """Seconds from one token of an answer to the next, while all slots are busy."""
        return self.at_once / self.decode


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What users are promised, in the busiest hour.

    Args:
        first_token_s: seconds until the first token, for ``percent`` per cent of the requests.
        each_token_s: seconds from one token to the next.
        percent: above 0, below 100.

    Raises:
        SettingsError: a number is out of range.
    """

    first_token_s: float
    each_token_s: float
    percent: float = 95

    def __post_init__(self) -> None:
        check_positive("first_token_s", self.first_token_s)
        check_positive("each_token_s", self.each_token_s)
        check_share("percent", self.percent, most=99.999)


@dataclass(frozen=True)
class Plan:
    """A number of servers for a demand, and what it leads to by the formula.

    Args:
        demand, speeds, promise: what it was made of.
        servers: how many.
    """

    demand: Demand
    speeds: Speeds
    promise: Promise
    servers: int

    @property
    def at_once(self) -> float:
        """Requests in slots on average in the busiest hour (Little's law: arrivals a second times time in a slot)."""
        return self.demand.per_s * self.speeds.service_s(self.demand)

    @property
    def slots(self) -> int:
        """Slots of all servers."""
        return self.servers * self.speeds.at_once

    @property
    def utilisation(self) -> float:
        """Share of what the servers can do that the busiest hour takes; above 1 they cannot keep up."""
        return self.at_once / self.slots

    @property
    def wait_s(self) -> float:
        """Seconds in the queue that the promise's share of requests does not exceed."""
        service_s = self.speeds.service_s(self.demand)
        return wait_s(self.slots, self.demand.per_s, service_s, percent=self.promise.percent)

    @property
    def first_token_s(self) -> float:
        """Seconds to the first token that the promise's share of requests does not exceed."""
        return self.wait_s + self.speeds.reading_s(self.demand)

    @property
    def is_kept(self) -> bool:
        """Whether the promise is kept."""
        p = self.promise
        return self.first_token_s <= p.first_token_s and self.speeds.each_token_s <= p.each_token_s

    def most_per_day(self, utilisation: float) -> float:
        """Requests a day, like those of the demand, with which servers are no busier than this and keep the promise.

        Raises:
            SettingsError: the utilisation is not above 0 and at most 0.99.
        """
        check_share("utilisation", utilisation, most=MOST_UTILISATION)
        low, high = 0.0, utilisation / self.utilisation  # times the demand
        if self._times(high).is_kept:
            return self.demand.per_day * high
        for _halving in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self._times(middle).is_kept else (low, middle)
        return self.demand.per_day * low

    def _times(self, factor: float) -> Plan:
        return replace(self, demand=replace(self.demand, per_hour=factor * self.demand.per_hour))

    def __str__(self) -> str:
        return "\n".join(
            [
                _("{at_once:.1f} requests at once; servers: {servers}, slots: {slots}, busy: {busy:.1f} %").format(
                    at_once=self.at_once, servers=self.servers, slots=self.slots, busy=100 * self.utilisation
                ),
                _("first token: {percent:g} % within {first:.1f} s; each token after {each:.3f} s").format(
                    percent=self.promise.percent, first=self.first_token_s, each=self.speeds.each_token_s
                ),
                _("the promise is kept") if self.is_kept else _("the promise is BROKEN"),
            ]
        )


def plan(demand: Demand, speeds: Speeds, promise: Promise, *, utilisation: float = 0.7) -> Plan:
    """The smallest number of servers that are no busier than ``utilisation`` and keep the promise.

    Args:
        demand: what is asked.
        speeds: of one server.
        promise: to the users.
        utilisation: the share of its time that a server may be busy in the busiest hour; at most 0.99.

    Raises:
        SettingsError: no number of servers keeps the promise, or a number is out of range.
    """
    check_share("utilisation", utilisation, most=MOST_UTILISATION)
    if speeds.each_token_s > promise.each_token_s:
        text = _(
            "With {n} requests at once, a token takes {seen:.3g} s, and {promised:.3g} s are promised: no number of"
            " servers changes that. Measure with fewer requests at once, or promise more time."
        )
        raise SettingsError(text.format(n=speeds.at_once, seen=speeds.each_token_s, promised=promise.each_token_s))
    if speeds.reading_s(demand) > promise.first_token_s:
        text = _(
            "Reading a prompt takes {seen:.3g} s with {n} requests at once, and the first token is promised within"
            " {promised:.3g} s: no number of servers changes that. Shorten prompts, measure with fewer requests at"
            " once, or promise more time."
        )
        raise SettingsError(
            text.format(n=speeds.at_once, seen=speeds.reading_s(demand), promised=promise.first_token_s)
        )
    # 1.4 / 0.7 may be a little more than 2.
    servers = max(1, math.ceil(round(demand.per_s * speeds.busy_s(demand) / utilisation, 9)))
    if servers * speeds.at_once > MOST_SLOTS:
        raise SettingsError(
            _(
                "This takes more than {most} slots, too many to be planned as one queue; plan a part of the users."
            ).format(most=MOST_SLOTS)
        )
    found = Plan(demand, speeds, promise, servers)
    while not found.is_kept:
        found = Plan(demand, speeds, promise, found.servers + 1)
    return found
