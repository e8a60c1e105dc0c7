"""Several users of one server at once: their streams timed token by token, failures counted, the memory watched.

A closed loop (``run_load``): each user sends a request, reads the answer to its end, and sends the next one.
An open loop (``run_open``): requests are sent when they are due, whatever has become of earlier ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

from courselib.checks import check_whole
from courselib.engines.refusals import refused_words, shortened
from courselib.i18n import _
from courselib.observe.seen import CONNECTION, TIME, Seen, events

if TYPE_CHECKING:
    import httpx

    from courselib.engines.server import Server
    from courselib.observe.logits import BreaksOff

PATH = "/v1/completions"
WATCH_S = 0.2


@dataclass(frozen=True)
class Request:
    """A prompt, and how many tokens the answer will have.

    Args:
        prompt: ids of tokens; a text for an engine that takes no ids (TGI).
        max_tokens: of the answer.
        due_s: when it is to be sent in an open loop, in seconds since the load began.
    """

    prompt: tuple[int, ...] | str
    max_tokens: int
    due_s: float = 0.0


@dataclass(frozen=True)
class Answer:
    """One request as its client saw it; all times in seconds since the load began.

    Args:
        user: whose it was, from 0; in an open loop, which request.
        sent_s: when it was sent.
        came_s: when each piece of text came: a token, or several where the bytes of one are no whole character.
        error: why the answer is not complete, in the server's words; empty where it is.
        kind: of the failure: "connection", "reported" (an error inside a stream), "cut short", "no token", "time" or
            "HTTP" and a number; empty where there is none.
        due_s: when it was to be sent; None in a closed loop, where that is the moment at which it was sent.
        ended_s: when the answer was complete, or had failed.
        tokens: of the answer, as the server counts them; None where it does not report it.
    """

    user: int
    sent_s: float
    came_s: tuple[float, ...] = ()
    error: str = ""
    kind: str = ""
    due_s: float | None = None
    ended_s: float | None = None
    tokens: int | None = None

    @property
    def begun_s(self) -> float:
        """The moment from which its user waits: when it was due, even if it was sent later."""
        return self.sent_s if self.due_s is None else self.due_s

    @property
    def ttft_s(self) -> float | None:
        """Time to first token since it was due, in seconds; None where none came."""
        return self.came_s[0] - self.begun_s if self.came_s else None

    @property
    def tpot_s(self) -> float | None:
        """Time per output token after the first one, in seconds; None below two tokens."""
        count = self.tokens or len(self.came_s)
        return (self.came_s[-1] - self.came_s[0]) / (count - 1) if self.came_s and count > 1 else None

    @property
    def whole_s(self) -> float | None:
        """Seconds from when it was due to the end of the answer (end-to-end latency)."""
        return None if self.ended_s is None else self.ended_s - self.begun_s

    @property
    def late_s(self) -> float:
        """Seconds for which the client itself held it back."""
        return self.sent_s - self.begun_s

    @property
    def gaps_s(self) -> tuple[float, ...]:
        """Seconds between each token and the one before it."""
        return tuple(later - earlier for earlier, later in zip(self.came_s, self.came_s[1:], strict=False))


@dataclass(frozen=True)
class Load:
    """What became of a load.

    Args:
        answers: one for each request that was sent, in the order in which they ended.
        memory_bytes: the most that the server had at once, its share of RAM (PSS) where the system reports it; None
            for a server that was not started here.
        unsent: requests that were never sent, because the load was broken off before.
    """

    answers: tuple[Answer, ...]
    memory_bytes: int | None
    unsent: int = 0

    @property
    def complete(self) -> tuple[Answer, ...]:
        """The answers that came whole."""
        return tuple(answer for answer in self.answers if not answer.error)

    @property
    def failed(self) -> tuple[Answer, ...]:
        """The others."""
        return tuple(answer for answer in self.answers if answer.error)

    @property
    def ttfts_s(self) -> tuple[float, ...]:
        """Times to first token of complete answers, in seconds."""
        return tuple(answer.ttft_s for answer in self.complete if answer.ttft_s is not None)

    @property
    def gaps_s(self) -> tuple[float, ...]:
        """Seconds between two tokens, of all complete answers."""
        return tuple(gap for answer in self.complete for gap in answer.gaps_s)


def run_load(
    server: Server,
    users: Sequence[Sequence[Request]],
    *,
    limit_s: float,
    breaks_off: BreaksOff | None = None,
    on_answer: Callable[[Answer], None] | None = None,
) -> Load:
    """Send each user's requests, one after the other, all users at once, and wait for the answers: a closed loop.

    The prompts are computed whole: no answer profits from what an earlier one left in the server's cache. It may be
    called where an event loop runs, as in a notebook. An interrupt ends the requests under way.

    Args:
        server: whom the users ask, on OpenAI's ``/v1/completions``.
        users: the requests of each.
        limit_s: seconds after which requests that still run are broken off, and count as failed.
        breaks_off: is given, before the requests, what breaks them off from another thread.
        on_answer: is given each answer when it has ended, in a thread of the load.

    Raises:
        RequestError: the server does not answer, or wants another key.
    """
    return _load(_Run(server, users, limit_s, on_answer=on_answer), breaks_off)


def run_open(
    server: Server,
    requests: Sequence[Request],
    *,
    limit_s: float,
    connections: int | None = None,
    breaks_off: BreaksOff | None = None,
    on_answer: Callable[[Answer], None] | None = None,
) -> Load:
    """Send each request when it is due, whatever has become of those before it: an open loop.

    Args:
        server: to be asked, as in ``run_load``.
        requests: in any order; each has the time at which it is due.
        limit_s: seconds after which requests that still run are broken off; those not yet sent count as unsent.
        connections: requests under way at most; others wait in the client, and their users' clocks run. None sends
            each one at its time.
        breaks_off: as in ``run_load``.
        on_answer: as in ``run_load``.

    Raises:
        SettingsError: no connection.
        RequestError: the server does not answer, or wants another key.
    """
    if connections is not None:
        check_whole("connections", connections, 1)
    return _load(_Run(server, [[each] for each in requests], limit_s, True, connections, on_answer), breaks_off)


def _load(run: _Run, breaks_off: BreaksOff | None) -> Load:
    run.server.check()
    if breaks_off:
        breaks_off(run.end)
    # Its own thread: a notebook's has an event loop already, and a loop cannot run inside another one.
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(asyncio.run, run.run())
        try:
            job.result()
        except BaseException:  # an interrupt of the cell; the pool waits for the end
            run.end()
            raise
    return Load(tuple(run.answers), run.memory_bytes, sum(map(len, run.users)) - len(run.answers))


@dataclass
class _Run:
    """A load while it runs."""

    server: Server
    users: Sequence[Sequence[Request]]
    limit_s: float
    is_open: bool = False
    connections: int | None = None
    on_answer: Callable[[Answer], None] | None = None
    answers: list[Answer] = field(default_factory=list)
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        self._model = self.server.model
        self._ended = threading.Event()

    def end(self) -> None:
        """Break off what runs; from any thread."""
        self._ended.set()

    async def run(self) -> None:
        import httpx

        headers = {"Authorization": f"Bearer {self.server.key}"} if self.server.key else {}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        options = self.server.client_options()
        async with httpx.AsyncClient(
            base_url=self.server.url, headers=headers, timeout=self.limit_s, limits=limits, **options
        ) as http:
            self._begin = perf_counter()
            tasks = [asyncio.create_task(each) for each in self._users(http)]
            while (left := [task for task in tasks if not task.done()]) and not self._is_over():
                await asyncio.to_thread(self._look)
                await asyncio.wait(left, timeout=WATCH_S)
            for task in left:
                task.cancel()
            for found in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(found, Exception):  # not what is broken off before it began
                    raise found
            await asyncio.to_thread(self._look)

    def _is_over(self) -> bool:
        return self._ended.is_set() or self._now() > self.limit_s

    def _now(self) -> float:
        return perf_counter() - self._begin

    def _look(self) -> None:
        """Keep the most memory that the server has had."""
        uss, pss = self.server.memory_shares()
        if seen := pss or uss or self.server.memory().rss:
            self.memory_bytes = max(seen, self.memory_bytes or 0)

    def _users(self, http: httpx.AsyncClient) -> Iterator[Coroutine[Any, Any, None]]:
        free = asyncio.Semaphore(self.connections) if self.connections else contextlib.nullcontext()
        for at, requests in enumerate(self.users):
            yield self._at_its_time(http, at, requests[0], free) if self.is_open else self._user(http, at, requests)

    async def _user(self, http: httpx.AsyncClient, user: int, requests: Sequence[Request]) -> None:
        for request in requests:
            if await self._ask(http, user, request):
                return

    async def _at_its_time(
        self, http: httpx.AsyncClient, at: int, request: Request, free: contextlib.AbstractAsyncContextManager[None]
    ) -> None:
        await asyncio.sleep(request.due_s - self._now())
        async with free:
            await self._ask(http, at, request)

    async def _ask(self, http: httpx.AsyncClient, user: int, request: Request) -> bool:
        """Send one request and keep its answer; whether it was broken off."""
        import httpx

        seen = Seen()
        sent = self._now()
        prompt = request.prompt if isinstance(request.prompt, str) else list(request.prompt)
        body = {
            "model": self._model, "prompt": prompt, "max_tokens": request.max_tokens, "seed": user, "stream": True,
            "stream_options": {"include_usage": True}, "ignore_eos": True, "cache_prompt": False,
        }  # fmt: skip
        try:
            async with http.stream("POST", PATH, json=body) as response:
                if response.status_code != 200:
                    await response.aread()
                    seen.fail(f"HTTP {response.status_code}", shortened(refused_words(response)))
                else:
                    async for event in events(response):
                        seen.take(event, self._now())
                    seen.close()
        except httpx.TimeoutException as slow:
            seen.fail(TIME, _("no answer in time: {reason}").format(reason=str(slow) or type(slow).__name__))
        except httpx.HTTPError as broken:
            reason = str(broken) or type(broken).__name__
            seen.fail(CONNECTION, _("the connection broke: {reason}").format(reason=reason))
        except asyncio.CancelledError:
            seen.fail(TIME, _("not complete when the time was over"), is_over=True)
        due = request.due_s if self.is_open else None
        answer = Answer(user, sent, tuple(seen.came_s), seen.error, seen.kind, due, self._now(), seen.tokens)
        self.answers.append(answer)
        if self.on_answer:
            self.on_answer(answer)
        return seen.is_over


def spread(tokens: Sequence[int], length: int, *, places: int) -> Iterator[tuple[int, ...]]:
    """Prompts of ``length`` tokens, each a text that begins at another place, so that no two begin alike.

    Args:
        tokens: the text, of which a prompt repeats as much as it needs.
        length: tokens a prompt.
        places: how many prompts.
    """
    for place in range(places):
        yield tuple(tokens[(place + at) % len(tokens)] for at in range(length))
