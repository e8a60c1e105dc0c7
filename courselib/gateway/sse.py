"""Server-sent events as TGI's axum 0.7 writes them: ``data: `` and JSON, no names, no ids, a comment to keep alive."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import anyio

KEEP_ALIVE_S = 15.0
KEEP_ALIVE = b":\n\n"
LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
DONE = b"data: [DONE]\n\n"


def frame(body: Any) -> bytes:
    """One event. What some clients take for the end of a line is escaped, which to JSON is the same."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).translate(LINE_ENDS)
    return b"data: " + text.encode() + b"\n\n"


async def kept_alive(frames: AsyncIterator[bytes], every_s: float = KEEP_ALIVE_S) -> AsyncGenerator[bytes, None]:
    """The same, with a comment after each ``every_s`` seconds in which nothing came."""
    pending: asyncio.Task[bytes] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(anext(frames))
            done, _waiting = await asyncio.wait([pending], timeout=every_s)
            if not done:
                yield KEEP_ALIVE
                continue
            finished, pending = pending, None
            try:
                yield finished.result()
            except StopAsyncIteration:
                return
    finally:
        # The server cancels us again and again once the client has gone, and each time would cancel what we wait for:
        # the connection to llama.cpp would stay open, and llama.cpp go on.
        with anyio.CancelScope(shield=True):
            if pending:
                pending.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await pending
            await frames.aclose()  # type: ignore[attr-defined]
