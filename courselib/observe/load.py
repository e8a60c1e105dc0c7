"""Several users of one server at once: their streams timed token by token, failures counted, the memory watched.

A closed loop: each user sends a request, reads the answer to its end, and sends the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

from courselib.engines.refusals import refused_words, shortened
from courselib.i18n import _

if TYPE_CHECKING:
    import httpx

    from courselib.engines.server import Server
    from courselib.observe.logits import BreaksOff

PATH = "/v1/completions"
WATCH_S = 0.2


@dataclass(frozen=True)
class Request:
    """A prompt as ids of tokens, and how many tokens the answer will have."""

    prompt: tuple[int, ...]
    max_tokens: int


@dataclass(frozen=True)
class Answer:
    """One request as its client saw it; all times in seconds since the load began.

    Args:
        user: whose it was, from 0.
        sent_s: when it was sent.
        came_s: when each piece of text came: a token, or several where the bytes of one are no whole character.
        error: why the answer is not complete, in the server's words; empty where it is.
    """

    user: int
    sent_s: float
    came_s: tuple[float, ...] = ()
    error: str = ""

    @property
    def ttft_s(self) -> float | None:
        """Time to first token, in seconds; None where none came."""
        return self.came_s[0] - self.sent_s if self.came_s else None

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
    """

    answers: tuple[Answer, ...]
    memory_bytes: int | None

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
    server: Server, users: Sequence[Sequence[Request]], *, limit_s: float, breaks_off: BreaksOff | None = None
) -> Load:
    """Send each user's requests, one after the other, all users at once, and wait for the answers.

    The prompts are computed whole: no answer profits from what an earlier one left in the server's cache. It may be
    called where an event loop runs, as in a notebook. An interrupt ends the requests under way.

    Args:
        server: whom the users ask, on OpenAI's ``/v1/completions``.
        users: the requests of each.
        limit_s: seconds after which requests that still run are broken off, and count as failed.
        breaks_off: is given, before the requests, what breaks them off from another thread.

    Raises:
        RequestError: the server does not answer, or wants another key.
    """
    server.check()
    run = _Run(server, users, limit_s)
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
    return Load(tuple(run.answers), run.memory_bytes)


@dataclass
class _Run:
    """A load while it runs."""

    server: Server
    users: Sequence[Sequence[Request]]
    limit_s: float
    answers: list[Answer] = field(default_factory=list)
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        self._begin = perf_counter()
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
            tasks = [asyncio.create_task(self._user(http, at, each)) for at, each in enumerate(self.users)]
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

    async def _user(self, http: httpx.AsyncClient, user: int, requests: Sequence[Request]) -> None:
        for request in requests:
            if await self._ask(http, user, request):
                return

    async def _ask(self, http: httpx.AsyncClient, user: int, request: Request) -> bool:
        """Send one request and keep its answer; whether it was broken off."""
        import httpx

        came: list[float] = []
        sent, error, over = self._now(), "", False
        body = {
            "model": self._model, "prompt": list(request.prompt), "max_tokens": request.max_tokens, "seed": user,
            "stream": True, "ignore_eos": True, "cache_prompt": False,
        }  # fmt: skip
        try:
            async with http.stream("POST", PATH, json=body) as response:
                if response.status_code != 200:
                    await response.aread()
                    error = shortened(refused_words(response))
                async for event in _events(response):
                    if "error" in event:
                        error = shortened(str(event["error"].get("message", event["error"])))
                    elif event.get("choices") and event["choices"][0]["text"]:
                        came.append(self._now())
        except httpx.HTTPError as broken:
            error = _("the connection broke: {reason}").format(reason=str(broken) or type(broken).__name__)
        except asyncio.CancelledError:
            error, over = _("not complete when the time was over"), True
        self.answers.append(Answer(user, sent, tuple(came), error or ("" if came else _("no token came"))))
        return over


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The JSON of each event of a stream (server-sent events)."""
    async for line in response.aiter_lines():
        if line.startswith("data:") and (text := line[5:].strip()) != "[DONE]":
            with contextlib.suppress(ValueError):
                yield json.loads(text)


def spread(tokens: Sequence[int], length: int, *, places: int) -> Iterator[tuple[int, ...]]:
    """Prompts of ``length`` tokens, each a text that begins at another place, so that no two begin alike.

    Args:
        tokens: the text, of which a prompt repeats as much as it needs.
        length: tokens a prompt.
        places: how many prompts.
    """
    for place in range(places):
        yield tuple(tokens[(place + at) % len(tokens)] for at in range(length))
