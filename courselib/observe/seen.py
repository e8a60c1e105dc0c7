"""What a client sees of one streamed answer: its pieces, its end, and the kind of its failure."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from courselib.engines.refusals import shortened
from courselib.i18n import _

if TYPE_CHECKING:
    import httpx

# Kinds of failure, besides "HTTP 500" and the like; data, and so not translated.
CONNECTION, REPORTED, CUT, EMPTY, TIME, UNSENT = "connection", "reported", "cut short", "no token", "time", "not sent"


@dataclass
class Seen:
    """What has come of one answer.

    Args:
        came_s: when each piece of text came.
        error: why it is not complete; empty where it is.
        kind: of the failure.
        tokens: as the server counts them; None where it does not report it.
        is_ended: whether the stream has said that it ends.
        is_over: whether it was broken off from here.
    """

    came_s: list[float] = field(default_factory=list)
    error: str = ""
    kind: str = ""
    tokens: int | None = None
    is_ended: bool = False
    is_over: bool = False

    def fail(self, kind: str, error: str, *, is_over: bool = False) -> None:
        """Note a failure."""
        self.kind, self.error, self.is_over = kind, error, is_over

    def take(self, event: dict[str, Any] | None, now_s: float) -> None:
        """One event of the stream; None for its last one."""
        if event is None:
            self.is_ended = True
        elif not isinstance(event, dict):
            return  # an engine of its own; not of OpenAI's protocol
        elif "error" in event:
            told = event["error"]
            self.fail(REPORTED, shortened(str(told.get("message", told) if isinstance(told, dict) else told)))
        else:
            self.tokens = (event.get("usage") or {}).get("completion_tokens", self.tokens)
            for choice in event.get("choices", ())[:1]:
                self.is_ended |= bool(choice.get("finish_reason"))
                if choice.get("text"):
                    self.came_s.append(now_s)

    def close(self) -> None:
        """The stream is over: was it whole?"""
        if not self.kind and not self.is_ended:
            self.fail(CUT, _("the stream ended before the answer did"))
        elif not self.kind and not self.came_s:
            self.fail(EMPTY, _("no token came"))


async def events(response: httpx.Response) -> AsyncIterator[dict[str, Any] | None]:
    """The JSON of each event of a stream (server-sent events); None for its end."""
    async for line in response.aiter_lines():
        if line.startswith("data:"):
            text = line[5:].strip()
            if text == "[DONE]":
                yield None
            else:
                with contextlib.suppress(ValueError):
                    yield json.loads(text)
