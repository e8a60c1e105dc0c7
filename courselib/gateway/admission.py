"""Who may run now: TGI's limit of requests at once, and its queue for a place in the batch."""

from __future__ import annotations

import contextlib
from asyncio import Event
from collections import deque
from collections.abc import AsyncIterator, Iterator

from courselib.gateway.errors import overloaded
from courselib.gateway.limits import Limits


class Admission:
    """Counts requests, the running ones, and the tokens they may need; first come, first served.

    Like TGI, a request runs when there is room for its prompt and all it may generate (backends/v3/src/queue.rs):
    what runs is never thrown out for want of memory.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: deque[tuple[int, Event]] = deque()
        self.admitted = 0
        self.running = 0
        self.tokens = 0

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    @contextlib.contextmanager
    def permit(self) -> Iterator[None]:
        """One of ``max_concurrent_requests``; refused at once where there is none left."""
        if self.admitted >= self._limits.max_concurrent_requests:
            raise overloaded()
        self.admitted += 1
        try:
            yield
        finally:
            self.admitted -= 1

    @contextlib.asynccontextmanager
    async def place(self, tokens: int) -> AsyncIterator[None]:
        """A slot and room for ``tokens`` tokens, waited for."""
        entry = (tokens, Event())
        self._waiting.append(entry)
        self._let_in()
        try:
            await entry[1].wait()
            yield
        finally:
            if entry[1].is_set():
                self.running -= 1
                self.tokens -= tokens
            else:
                self._waiting.remove(entry)
            self._let_in()

    def _let_in(self) -> None:
        while self._waiting and self.running < self._limits.max_batch_size:
            tokens, event = self._waiting[0]
            if self.tokens + tokens > self._limits.max_batch_total_tokens:
                return
            self._waiting.popleft()
            self.running += 1
            self.tokens += tokens
            event.set()
