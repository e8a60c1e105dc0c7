"""The llama.cpp server behind the gateway, as far as the gateway needs it."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

from courselib.gateway.errors import TgiError, failed, invalid
from courselib.gateway.limits import Backend

# How long an idle connection is used again. llama-server's web server closes it after 5 s (cpp-httplib); a request
# sent at that moment would be lost.
KEEP_ALIVE_S = 2.0


@dataclass(frozen=True)
class Piece:
    """A token of a prompt, and its bytes."""

    id: int
    data: bytes


@dataclass(frozen=True)
class Likely:
    """A token that could have come, its bytes, and the natural log of its probability."""

    id: int
    data: bytes
    logprob: float


@dataclass(frozen=True)
class Chunk:
    """What one event of llama-server tells: the newest token, and bytes up to and including it.

    ``number`` counts the tokens so far. llama-server holds tokens back until a character is whole, so that it may
    be more than one higher than before. ``last`` marks the end, whose ``number`` counts and which has no token;
    ``ended`` says that the model itself ended the answer.
    """

    number: int
    id: int = -1
    data: bytes = b""
    logprob: float | None = None
    top: tuple[Likely, ...] = ()
    last: bool = False
    ended: bool = False


class LlamaClient:
    """Asks one llama-server; every failure of it is TGI's ``generation`` error."""

    def __init__(self, backend: Backend) -> None:
        self._http = httpx.AsyncClient(
            base_url=backend.url,
            headers={"Authorization": f"Bearer {backend.key}"},
            timeout=httpx.Timeout(10, read=None),
            limits=httpx.Limits(max_connections=None, keepalive_expiry=KEEP_ALIVE_S),
            trust_env=False,
        )
        self._special: dict[int, str] = {}
        self._prefix: list[Piece] | None = None

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def is_healthy(self) -> bool:
        """Whether the engine answers and has its model loaded."""
        try:
            return (await self._http.get("/health", timeout=5)).status_code == 200
        except httpx.HTTPError:
            return False

    async def tokenize(self, text: str, *, add_special: bool) -> list[Piece]:
        """The text's tokens, special ones in it recognised."""
        asked = {"content": text, "add_special": add_special, "parse_special": True, "with_pieces": True}
        found = await self._post("/tokenize", asked)
        return [Piece(token["id"], _piece_bytes(token["piece"])) for token in found["tokens"]]

    async def prefix(self) -> list[Piece]:
        """What the vocabulary adds before every prompt: BOS, or nothing."""
        if self._prefix is None:
            bare = await self.tokenize("a", add_special=False)
            whole = await self.tokenize("a", add_special=True)
            self._prefix = whole[: whole.index(bare[0])]
        return self._prefix

    async def special_text(self, token: int) -> str:
        """How a special token is written."""
        if token not in self._special:
            self._special[token] = (await self._post("/detokenize", {"tokens": [token]}))["content"]
        return self._special[token]

    async def apply_template(self, messages: list[dict[str, Any]]) -> str:
        """A conversation as the model's template writes it, BOS included: to be tokenized without ``add_special``.

        Raises:
            TgiError: the template refuses these messages.
        """
        answer = await self._send("/apply-template", {"messages": messages})
        if answer.status_code != 200:
            raise TgiError(422, "template_error", f"Template error: {_reason(answer.text)}")
        # llama-server takes off the template's BOS where the vocabulary adds one, and has it added by the tokenizer.
        return b"".join(piece.data for piece in await self.prefix()).decode() + str(answer.json()["prompt"])

    async def complete(self, body: dict[str, Any]) -> AsyncGenerator[Chunk, None]:
        """Tokens as they come; leaving the iteration ends the generation."""
        try:
            async with self._http.stream("POST", "/completion", json=body) as answer:
                if answer.status_code != 200:
                    reason = _reason((await answer.aread()).decode())
                    raise _ungrammatical(reason) if "json_schema" in body and "grammar" in reason else failed(reason)
                async for event in read_events(answer.aiter_bytes()):
                    if "error" in event:
                        raise failed(_reason(json.dumps(event)))
                    yield _chunk(event)
        except httpx.HTTPError as error:
            raise failed(f"the llama.cpp server is gone ({type(error).__name__})") from None

    async def _send(self, path: str, body: dict[str, Any]) -> httpx.Response:
        try:
            return await self._http.post(path, json=body)
        except httpx.HTTPError as error:
            raise failed(f"the llama.cpp server is gone ({type(error).__name__})") from None

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = await self._send(path, body)
        if answer.status_code != 200:
            raise failed(_reason(answer.text))
        return answer.json()


async def read_events(parts: AsyncIterator[bytes]) -> AsyncGenerator[dict[str, Any], None]:
    """llama-server's events from the bytes of its stream.

    Lines end with a line feed and nothing else: httpx's own reader of lines also breaks them at characters that a
    model may well write (U+0085, U+2028) and that JSON lets stand.
    """
    rest = b""
    async for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            kind, _colon, data = line.partition(b": ")
            if kind in (b"data", b"error") and data.startswith(b"{"):
                event = json.loads(data)
                yield {"error": event} if kind == b"error" and "error" not in event else event


def _ungrammatical(reason: str) -> TgiError:
    return invalid(f"cannot compile regex from schema: {reason}")


def _piece_bytes(piece: str | list[int]) -> bytes:
    return piece.encode() if isinstance(piece, str) else bytes(piece)


def _reason(text: str) -> str:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(text)["error"]["message"])
    return text


def _logprob(entry: dict[str, Any]) -> float | None:
    if "logprob" in entry:
        return float(entry["logprob"])
    return math.log(entry["prob"]) if entry["prob"] > 0 else None


def _chunk(event: dict[str, Any]) -> Chunk:
    number = int(event["tokens_predicted"])
    if event["stop"]:
        return Chunk(number, last=True, ended=event.get("stop_type") == "eos")
    (entry,) = event["completion_probabilities"]
    likeliest = entry.get("top_probs", entry.get("top_logprobs", []))
    top = [(other["id"], bytes(other["bytes"]), _logprob(other)) for other in likeliest]
    return Chunk(
        number,
        id=entry["id"],
        data=bytes(entry["bytes"]),
        logprob=_logprob(entry),
        top=tuple(Likely(*other) for other in top if other[2] is not None),  # type: ignore[arg-type]
    )
