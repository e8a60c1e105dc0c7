"""Requests served step by step from a KV cache that is too small for all of them: who is admitted, who must wait.

A step gives each running sequence one token, as a decode step of an engine does; a prompt takes the step in which its
request is admitted. Requests are admitted in the order of their arrival. Where a paged cache is full, the request that
was admitted last is preempted: its blocks are freed, and what it held is computed again when it is its turn (vLLM's
rules: running before waiting, the last admitted first to go, no admission in a step that has preempted).
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from courselib.checks import check_whole
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.memory.names import letters
from courselib.memory.paged_cache import PagedCache
from courselib.memory.reserved_cache import ReservedCache

Cache = PagedCache | ReservedCache


@dataclass(frozen=True)
class Request:
    """One request.

    Args:
        prompt: tokens of its prompt, 1 or more.
        output: tokens of each answer, 1 or more.
        samples: answers to the one prompt.
        arrival: the step before which it does not exist.

    Raises:
        SettingsError: a number is out of range.
    """

    prompt: int
    output: int
    samples: int = 1
    arrival: int = 0

    def __post_init__(self) -> None:
        for name, low in (("prompt", 1), ("output", 1), ("samples", 1), ("arrival", 0)):
            check_whole(name, getattr(self, name), low)


@dataclass
class Served:
    """What came of it.

    Args:
        steps: until the last answer was complete.
        generated: tokens of all answers.
        preemptions: how often a request had to give up its blocks.
        recomputed: tokens, prompts included, that were computed again for it.
        copies: blocks copied because a sequence wrote into one that it shared.
        most_running: requests at once, at most.
        finished: by request the step after which it was complete.
    """

    steps: int = 0
    generated: int = 0
    preemptions: int = 0
    recomputed: int = 0
    copies: int = 0
    most_running: int = 0
    finished: list[int] = field(default_factory=list)
    _busy: int = 0
    _running: int = 0
    _stored: int = 0
    _reserved: int = 0
    _size: int = 1

    @property
    def mean_running(self) -> float:
        """Requests at once, on average over the steps in which any ran."""
        return self._running / max(1, self._busy)

    @property
    def held(self) -> float:
        """Share of the reserved memory that held tokens, on average."""
        return self._stored / max(1, self._reserved)

    @property
    def utilisation(self) -> float:
        """Share of all memory that held tokens, on average."""
        return self._stored / max(1, self._busy * self._size)

    def _count(self, cache: Cache, running: int) -> None:
        self._busy += 1
        self._running += running
        self._stored += cache.stored
        self._reserved += cache.reserved
        self.most_running = max(self.most_running, running)


def serve(
    requests: Sequence[Request],
    cache: Cache,
    *,
    max_running: int | None = None,
    watch: Callable[[int, Any], object] | None = None,
) -> Served:
    """Serve them all.

    Args:
        requests: in the order of their arrival.
        cache: an empty one, which is used up.
        max_running: requests at once, at most.
        watch: called after each step with its number and the cache.

    Raises:
        SettingsError: a request does not fit even if it is alone, or the requests are not in order.
    """
    run = _Serving(requests, cache, max_running)
    while run.waiting or run.running:
        run.step()
        if watch:
            watch(run.now, cache)
    run.report.copies = getattr(cache, "copies", 0)
    run.report.steps = run.now
    return run.report


class _Serving:
    """The state between two steps; a request is known by its number."""

    def __init__(self, requests: Sequence[Request], cache: Cache, max_running: int | None) -> None:
        if any(later.arrival < earlier.arrival for earlier, later in itertools.pairwise(requests)):
            raise SettingsError(_("The requests are not in the order of their arrival; sort them."))
        for request in requests:
            _check_fits(request, cache)
        self.requests, self.cache = requests, cache
        self.limit = len(requests) if max_running is None else max_running
        self.waiting = deque(range(len(requests)))
        self.running: list[int] = []
        self.generated = [0] * len(requests)
        self.now = 0
        self.report = Served(finished=[0] * len(requests), _size=cache.size)
        self.names = [_names(number, request.samples) for number, request in enumerate(requests)]

    def step(self) -> None:
        if not self.running:
            self.now = max(self.now, self.requests[self.waiting[0]].arrival)
        self.now += 1
        before = self.report.preemptions
        self._grow()
        if self.report.preemptions == before:
            self._admit()
        self.report._count(self.cache, len(self.running))
        self._end()

    def _grow(self) -> None:
        """A token for every running sequence; who was admitted last makes room."""
        place = 0
        while place < len(self.running):
            number = self.running[place]
            if self._append(number):
                self.generated[number] += 1
                place += 1

    def _append(self, number: int) -> bool:
        append = self.cache.append
        for name in self.names[number]:
            while True:
                try:
                    append(name)
                    break
                except IndexError:
                    if self._preempt_last() == number:
                        return False
        return True

    def _preempt_last(self) -> int:
        number = self.running.pop()
        self._leave(number)
        self.waiting.appendleft(number)
        self.report.preemptions += 1
        return number

    def _admit(self) -> None:
        while self.waiting and len(self.running) < self.limit:
            number = self.waiting[0]
            if self.requests[number].arrival >= self.now or not self._start(number):
                return
            self.waiting.popleft()
            self.running.append(number)

    def _start(self, number: int) -> bool:
        request, cache, (first, *others) = self.requests[number], self.cache, self.names[number]
        done = self.generated[number]
        try:
            if isinstance(cache, ReservedCache):
                for name in (first, *others):
                    cache.start(name, request.prompt, request.output)
                return True
            if cache.needed(request.prompt, request.samples, done) > len(cache.pool.free):
                return False
            cache.start(first, request.prompt)
        except IndexError:
            for name in (first, *others):
                if name in cache.lengths:
                    cache.finish(name)
            return False
        for name in others:
            cache.fork(first, name)
        for name in (first, *others):
            for _token in range(done):
                cache.append(name)
        if done:
            self.report.recomputed += request.prompt + done * request.samples
        return True

    def _end(self) -> None:
        for number in [each for each in self.running if self.generated[each] == self.requests[each].output]:
            self.running.remove(number)
            self._leave(number)
            self.report.finished[number] = self.now
            self.report.generated += self.generated[number] * self.requests[number].samples

    def _leave(self, number: int) -> None:
        for name in self.names[number]:
            self.cache.finish(name)


def _names(number: int, samples: int) -> tuple[str, ...]:
    """A, B, …; with a number for each sample where there are several."""
    name = letters(number)
    return (name,) if samples == 1 else tuple(f"{name}{sample}" for sample in range(1, samples + 1))


def _check_fits(request: Request, cache: Cache) -> None:
    if isinstance(cache, PagedCache):
        needed = cache.needed(request.prompt, request.samples, request.output) * cache.block_size
    else:
        needed = cache.wanted(request.prompt, request.output) * request.samples
    if needed > cache.size:
        raise SettingsError(
            _("A request needs memory for {needed} tokens and there is room for {size}; give the cache more.").format(
                needed=needed, size=cache.size
            )
        )
