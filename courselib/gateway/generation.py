"""llama-server's stream as TGI's tokens: whole characters, stop strings after each token, and why it ended."""

from __future__ import annotations

import codecs
import re
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field, replace

from courselib.gateway.llama_client import Chunk, Likely, LlamaClient

# TGI looks for a stop string at the end of so many characters (utils/tokens.py, StoppingCriteria).
STOP_WINDOW = 300


@dataclass(frozen=True)
class Token:
    """One token. ``id`` and ``logprob`` are None where the engine does not tell them."""

    id: int | None
    text: str
    logprob: float | None
    special: bool
    top: tuple[Token, ...] = ()
    finish_reason: str | None = None


@dataclass
class Generation:
    """A finished answer. ``text`` is without special tokens, stop strings included."""

    tokens: list[Token] = field(default_factory=list)
    text: str = ""
    finish_reason: str = ""


class Generator:
    """Iterate over ``tokens``; afterwards ``result`` holds the whole.

    Args:
        llama: asked for what special tokens are written like, and for the tokens of held-back characters.
        stop: strings that end the answer.
        new_tokens: how many come at most.
        logprobs: whether the engine's probabilities are those TGI would tell.
        top_n: how many of the most likely tokens to tell with each.
    """

    def __init__(self, llama: LlamaClient, stop: list[str], *, new_tokens: int, logprobs: bool, top_n: int) -> None:
        self._llama = llama
        self._stop = [re.compile(re.escape(text) + "$") for text in stop]
        self._new_tokens = new_tokens
        self._logprobs = logprobs
        self._top_n = top_n
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._window = ""
        self.result = Generation()

    async def tokens(self, chunks: AsyncIterator[Chunk]) -> AsyncGenerator[Token, None]:
        """TGI's tokens from llama-server's; the last has a ``finish_reason`` unless the engine broke off."""
        undecided: Token | None = None
        async for chunk in chunks:
            if undecided:
                yield self._finish(undecided, "eos_token" if chunk.ended else None)
                undecided = None
            if self.result.finish_reason:
                return
            ready = [Token(number, "", None, False) for number in await self._held(chunk)]
            if not chunk.last:
                newest = await self._token(chunk)
                # Whether a special token, or one after half a character, ended the answer is told by what follows.
                half = bool(self._decoder.getstate()[0])
                if (newest.special or half) and len(self.result.tokens) + len(ready) + 1 < self._new_tokens:
                    undecided = newest
                else:
                    ready.append(newest)
            for number, token in enumerate(ready, 1):
                yield self._finish(token, "eos_token" if chunk.ended and number == len(ready) else None)
                if self.result.finish_reason:
                    return

    async def _held(self, chunk: Chunk) -> list[int | None]:
        """The tokens that llama-server held back before this chunk, as far as they can be told."""
        held = chunk.number - len(self.result.tokens) - (0 if chunk.last else 1)
        if held and not chunk.last:
            pieces = await self._llama.tokenize(chunk.data.decode("utf-8", "replace"), add_special=False)
            # The usual spelling of these bytes, which is what came if its length and last token agree.
            if len(pieces) == held + 1 and pieces[-1].id == chunk.id:
                return [piece.id for piece in pieces[:-1]]
        return [None] * held  # also where the answer was cut off within a character

    async def _token(self, chunk: Chunk) -> Token:
        # llama-server writes no special token out: those that end an answer or mark a turn have no bytes.
        special = not chunk.data
        text = await self._llama.special_text(chunk.id) if special else self._decoder.decode(chunk.data)
        top = tuple([await self._likely(other) for other in chunk.top[: self._top_n]])
        return Token(chunk.id, text, chunk.logprob if self._logprobs else None, special, top)

    async def _likely(self, other: Likely) -> Token:
        text = other.data.decode("utf-8", "replace") if other.data else await self._llama.special_text(other.id)
        return Token(other.id, text, other.logprob if self._logprobs else None, not other.data)

    def _finish(self, token: Token, reason: str | None) -> Token:
        """The token with the reason why it is the last one, if it is; in TGI's order of looking."""
        result = self.result
        self._window = (self._window + token.text)[-STOP_WINDOW:]
        if len(result.tokens) + 1 >= self._new_tokens:
            reason = "length"
        elif reason is None and any(pattern.search(self._window) for pattern in self._stop):
            reason = "stop_sequence"
        ready = replace(token, finish_reason=reason)
        result.tokens.append(ready)
        if not token.special:
            result.text += token.text
        if reason:
            result.finish_reason = reason
            result.text += self._decoder.decode(b"", final=True)
        return ready
