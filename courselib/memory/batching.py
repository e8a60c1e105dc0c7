"""Requests on a few slots: batches that wait for their longest answer, against slots that are filled again at once.

Time is counted in steps: in each, every busy slot generates one token. A prompt takes no step of its own. The words
are those of Orca (Yu et al., OSDI 2022), where scheduling by step, and not by request, was introduced.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from courselib.checks import check_choice, check_whole
from courselib.errors import SettingsError
from courselib.i18n import _

SCHEDULERS = ("static", "continuous")


@dataclass(frozen=True)
class Job:
    """One request.

    Args:
        output: tokens of its answer, 1 or more.
        arrival: the step before which it does not exist.

    Raises:
        SettingsError: a number is out of range.
    """

    output: int
    arrival: int = 0

    def __post_init__(self) -> None:
        check_whole("output", self.output, 1)
        check_whole("arrival", self.arrival, 0)


@dataclass(frozen=True)
class Span:
    """A request in its slot.

    Args:
        job: its number, from 0.
        slot: where it ran, from 0.
        start: the step in which it got its first token.
        end: the step after its last token.
        released: when the slot was free for another request.
    """

    job: int
    slot: int
    start: int
    end: int
    released: int


@dataclass(frozen=True)
class Schedule:
    """Who ran where, and when.

    Args:
        jobs: the requests.
        slots: how many there were.
        spans: one for each request, in the order of the requests.
    """

    jobs: tuple[Job, ...]
    slots: int
    spans: tuple[Span, ...]

    @property
    def steps(self) -> int:
        """Until the last answer was complete."""
        return max((span.end for span in self.spans), default=0)

    @property
    def tokens(self) -> int:
        """Of all answers."""
        return sum(span.end - span.start for span in self.spans)

    @property
    def busy(self) -> float:
        """Share of the slots' steps in which a token was generated."""
        return self.tokens / max(1, self.slots * self.steps)

    def waits(self) -> list[int]:
        """By request: steps from its arrival to the step in which it got its first token."""
        return [span.start - job.arrival for span, job in zip(self.spans, self.jobs, strict=True)]

    def batch_sizes(self) -> list[tuple[int, int]]:
        """From which step on how many slots generate, where that changes; it ends with the last step and 0."""
        changes: dict[int, int] = {}
        for span in self.spans:
            changes[span.start] = changes.get(span.start, 0) + 1
            changes[span.end] = changes.get(span.end, 0) - 1
        sizes, now = [], 0
        for step in sorted(step for step, change in changes.items() if change):
            now += changes[step]
            sizes.append((step, now))
        return sizes

    def seconds(self, step_s: float, request_s: float) -> float:
        """How long it takes if a step of ``n`` requests takes ``step_s + n * request_s``.

        Args:
            step_s: what a step costs however many requests there are: reading the weights, above all.
            request_s: what each request in it adds.
        """
        sizes = self.batch_sizes()
        return sum(
            (later - step) * (step_s + size * request_s)
            for (step, size), (later, _size) in itertools.pairwise(sizes)
            if size
        )


def schedule(jobs: Sequence[Job], slots: int, scheduler: str = "continuous") -> Schedule:
    """Serve requests in the order of their arrival.

    Args:
        jobs: in that order.
        slots: requests at once, at most.
        scheduler: ``static`` fills all slots, and again when the last answer of the batch is complete; ``continuous``
            fills each slot as soon as its answer is complete.

    Raises:
        SettingsError: the requests are not in order, or a setting is out of range.
    """
    check_whole("slots", slots, 1)
    check_choice("scheduler", scheduler, SCHEDULERS)
    if any(later.arrival < earlier.arrival for earlier, later in itertools.pairwise(jobs)):
        raise SettingsError(_("The requests are not in the order of their arrival; sort them."))
    spans = _static(jobs, slots) if scheduler == "static" else _continuous(jobs, slots)
    return Schedule(tuple(jobs), slots, tuple(spans))


def gain(jobs: Sequence[Job], slots: int) -> float:
    """How many times as many steps the static scheduler needs; 1.0 where it needs as many."""
    continuous = schedule(jobs, slots)
    return schedule(jobs, slots, "static").steps / continuous.steps if continuous.steps else 1.0


def _continuous(jobs: Sequence[Job], slots: int) -> list[Span]:
    free = [(0, slot) for slot in range(slots)]
    spans = []
    for number, job in enumerate(jobs):
        since, slot = heapq.heappop(free)
        start = max(since, job.arrival)
        end = start + job.output
        spans.append(Span(number, slot, start, end, end))
        heapq.heappush(free, (end, slot))
    return spans


def _static(jobs: Sequence[Job], slots: int) -> list[Span]:
    spans: list[Span] = []
    now = first = 0
    while first < len(jobs):
        now = max(now, jobs[first].arrival)
        last = first
        while last < len(jobs) and last - first < slots and jobs[last].arrival <= now:
            last += 1
        end = now + max(job.output for job in jobs[first:last])
        spans += [Span(at, at - first, now, now + jobs[at].output, end) for at in range(first, last)]
        now, first = end, last
    return spans
