"""From servers to machines and money, and when a rented API costs less. Prices are the reader's, in any currency."""

from __future__ import annotations

import math
from dataclasses import dataclass

from courselib import memory
from courselib.checks import check_choice, check_positive, check_share, check_whole
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.planning.capacity import Demand, Plan

ENGINES = ("llama.cpp", "vllm")
MILLION = 1_000_000
HOURS_A_MONTH = 730  # 365 days of 24 hours, divided by 12


@dataclass(frozen=True)
class Need:
    """Bytes that one server needs.

    Args:
        kv_cache: of keys and values, for all slots.
        other: of weights and what else the engine's estimate knows.
    """

    kv_cache: int
    other: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.kv_cache + self.other


def memory_need(model: memory.Model, *, at_once: int, longest: int, engine: str = "vllm") -> Need:
    """The memory of a server whose slots all hold a request of the greatest length.

    Args:
        model: its shape.
        at_once: slots.
        longest: tokens of the longest request, prompt and answer together; not the average.
        engine: "llama.cpp", with all that its estimate knows, or "vllm", with weights and KV cache alone.

    Raises:
        SettingsError: another engine, a number below 1, or a model whose layers or weights are not known.
    """
    check_choice("engine", engine, ENGINES)
    check_whole("at_once", at_once, 1)
    check_whole("longest", longest, 1)
    if engine == "vllm":
        kv_cache = memory.vllm.memory_for(model, at_once, longest)
        other = model.weights.total if model.weights else None
    else:
        estimate = memory.llamacpp.estimate(model, context=at_once * longest, parallel=at_once)
        kv_cache = estimate.kv_cache
        other = None if estimate.total is None else estimate.total - (kv_cache or 0)
    if kv_cache is None or other is None:
        raise SettingsError(
            _("The layers or weights of {name} are not known, so its memory is not; measure a running server.").format(
                name=model.name
            )
        )
    return Need(kv_cache, other)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine that is bought by the hour.

    Args:
        price_hour: for an hour.
        memory_gib: GiB for each server: of its GPU, or of RAM.
        usable: share of the memory that a server may take.
        servers: how many run on it without slowing each other down, one on each GPU.

    Raises:
        SettingsError: a number is out of range.
    """

    price_hour: float
    memory_gib: float
    usable: float = 0.9
    servers: int = 1

    def __post_init__(self) -> None:
        check_positive("price_hour", self.price_hour)
        check_positive("memory_gib", self.memory_gib)
        check_share("usable", self.usable, most=1)
        check_whole("servers", self.servers, 1)

    def check_fits(self, need: Need) -> None:
        """Make sure that a server has enough memory.

        Raises:
            SettingsError: it has not.
        """
        there = int(self.usable * self.memory_gib * memory.GIB)
        if need.total > there:
            text = _(
                "A server needs {need}, and {there} of this machine are usable; take more memory, fewer requests at"
                " once, shorter ones, or smaller weights."
            )
            raise SettingsError(text.format(need=memory.size_text(need.total), there=memory.size_text(there)))


@dataclass(frozen=True)
class Bill:
    """What a plan costs.

    Args:
        machines: how many, those in reserve included.
        month: price of a month.
        million_tokens: price of a million tokens, prompts and answers together, at the planned demand.
    """

    machines: int
    month: float
    million_tokens: float


def bill(plan: Plan, machine: Machine, *, spare: int = 0, days: float = 22, hours: float = HOURS_A_MONTH) -> Bill:
    """What the machines of a plan cost; nothing but the machines.

    Args:
        plan: the servers.
        machine: what they run on.
        spare: machines in reserve, for a failure or an update.
        days: working days a month.
        hours: hours a month for which the machines are paid for; machines that are never switched off have 730.

    Raises:
        SettingsError: a number is out of range.
    """
    check_whole("spare", spare, 0)
    check_positive("days", days)
    check_positive("hours", hours)
    machines = math.ceil(plan.servers / machine.servers) + spare
    month = machines * machine.price_hour * hours
    tokens = plan.demand.per_day * days * (plan.demand.prompt + plan.demand.answer)
    return Bill(machines, month, month * MILLION / tokens)


@dataclass(frozen=True, kw_only=True)
class Rented:
    """An API that is paid for by the token.

    Args:
        price_in: for a million tokens of prompts.
        price_out: for a million tokens of answers.

    Raises:
        SettingsError: a price is not positive.
    """

    price_in: float
    price_out: float

    def __post_init__(self) -> None:
        check_positive("price_in", self.price_in)
        check_positive("price_out", self.price_out)

    def request(self, demand: Demand) -> float:
        """Price of one request."""
        return (demand.prompt * self.price_in + demand.answer * self.price_out) / MILLION

    def month(self, demand: Demand, *, days: float = 22) -> float:
        """Price of a month with this many working days."""
        check_positive("days", days)
        return demand.per_day * days * self.request(demand)


@dataclass(frozen=True)
class BreakEven:
    """From how many requests a day one's own machines cost less than a rented API.

    Args:
        per_day: with so many, both cost the same.
        now: requests a day of the plan's demand.
        most_per_day: with so many, the planned servers still keep the promise.
    """

    per_day: float
    now: float
    most_per_day: float

    @property
    def is_reachable(self) -> bool:
        """Whether the planned servers carry as many requests as it takes."""
        return self.per_day <= self.most_per_day

    @property
    def cheaper(self) -> str:
        """What costs less at the planned demand: "own" or "rented"."""
        return "own" if self.now > self.per_day else "rented"


def break_even(plan: Plan, own: Bill, rented: Rented, *, days: float = 22, utilisation: float = 0.7) -> BreakEven:
    """Compare a bill, which is the same for any number of requests, with a price by the token.

    Args:
        plan: the servers.
        own: what they cost.
        rented: the API.
        days: working days a month, as in the bill.
        utilisation: the share of its time that a server may be busy in the busiest hour.

    Raises:
        SettingsError: a number is out of range.
    """
    check_positive("days", days)
    per_day = own.month / (days * rented.request(plan.demand))
    return BreakEven(per_day, plan.demand.per_day, plan.most_per_day(utilisation))
