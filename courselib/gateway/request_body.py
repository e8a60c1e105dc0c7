"""Reading a request's body as axum's ``Json`` extractor does, and giving up when the client has gone."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from courselib.gateway.errors import ExtractorError
from courselib.gateway.tasks import task_group

Result = TypeVar("Result")


def _is_json(content_type: str) -> bool:
    """``application/json`` or ``application/*+json``, whatever follows."""
    kind = content_type.split(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


async def read_json(request: Request, most: int) -> bytes:
    """The body's bytes, at most ``most``.

    Raises:
        ExtractorError: it is said to be something else, or it is longer.
    """
    if not _is_json(request.headers.get("content-type", "")):
        raise ExtractorError(415, "Expected request with `Content-Type: application/json`")
    parts: list[bytes] = []
    length = 0
    async for part in request.stream():
        length += len(part)
        if length > most:
            raise ExtractorError(413, "Failed to buffer the request body: length limit exceeded")
        parts.append(part)
    return b"".join(parts)


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """The work's result.

    Raises:
        ClientDisconnect: the client has gone; the work has been cancelled and has ended.
    """

    async def leave() -> None:
        await _disconnected(request)
        raise ClientDisconnect

    async with task_group() as group:
        group.start_soon(leave)
        result = await work
        group.cancel_scope.cancel()
    return result


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
