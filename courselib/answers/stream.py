"""A chat answer as it comes: tokens with their probabilities, then what was measured.

Uses the ``openai`` client, as a learner would; adds times, the tokens' bytes, and errors in one sentence each.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from courselib.engines.connection import Connection
from courselib.engines.refusals import refusal
from courselib.errors import CourseError, SettingsError, StreamBroken, Unauthorized, Unreachable
from courselib.i18n import _

if TYPE_CHECKING:
    from openai import OpenAI

    from courselib.engines.server import Server


@dataclass(frozen=True)
class Token:
    """One token: its bytes, the natural log of its probability, and the most likely tokens in its place with theirs.

    Engines that tell no log-probabilities leave ``logprob`` at None and ``alternatives`` empty. ``thinking`` is set
    where a model thinks before it answers, and the token is part of that. ``id`` is known where the engine gives it
    (llama.cpp with its log-probabilities, vLLM with ``return_token_ids``); llama.cpp gives several tokens that make one
    character as one, with the id of the last.
    """

    data: bytes
    logprob: float | None = None
    alternatives: tuple[tuple[bytes, float], ...] = ()
    thinking: bool = False
    id: int | None = None


@dataclass(frozen=True)
class Answer:
    """What was measured of a finished answer.

    ``text`` is what a client gets, and ``thinking`` what a model wrote before it, which the server gives apart; tokens
    may be more, such as the one that ends a turn, for which there is no text, or those that mark where thinking ends.
    ``ttft_s`` is seconds from the request to the first token, ``tokens_per_s`` counts the tokens after the first
    against the time after the first; None where there are too few tokens to tell.
    """

    text: str
    finish_reason: str
    ttft_s: float | None
    tokens_per_s: float | None
    prompt_tokens: int | None
    completion_tokens: int
    thinking: str = ""


def chat_messages(prompt: str, system: str = "") -> list[dict[str, str]]:
    """Prompt and system prompt as messages.

    Raises:
        SettingsError: the prompt is empty, or holds half a character that cannot be sent.
    """
    if not prompt.strip():
        raise SettingsError(_("The prompt is empty; write something for the model to answer."))
    for text in (prompt, system):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise SettingsError(
                _("Character {number} of the prompt is half a character (a lone surrogate); delete it.").format(
                    number=error.start + 1
                )
            ) from None
    messages = [{"role": "system", "content": system}] if system.strip() else []
    return [*messages, {"role": "user", "content": prompt}]


class ChatStream:
    """Iterate over it for the tokens; ``answer`` is there when the iteration has ended. Of several answers, the first.

    Args:
        server: who answers.
        messages: as for ``chat.completions.create``.
        options: the other arguments of ``chat.completions.create``.

    Raises:
        RequestError: see ``courselib.errors``; while iterating.
    """

    def __init__(self, server: Server, messages: list[dict[str, str]], **options: Any) -> None:
        self._server = server
        self._request = {"messages": messages, "stream": True, "stream_options": {"include_usage": True}, **options}
        self._connection = Connection()
        self.ttft_s: float | None = None
        """Seconds from the request to the first token, once that has come."""
        self.answer: Answer | None = None
        self.told: dict[str, Any] = {}
        """What the server said beside OpenAI's fields, by its own names."""

    def __iter__(self) -> Iterator[Token]:
        try:
            yield from self._tokens()
        except CourseError:
            raise
        except client_errors() as error:
            if not self._connection.closed:
                raise explain(error, self._server) from error

    def close(self) -> None:
        """Break off, from any thread: the iteration ends, and the engine stops when its client has gone."""
        self._connection.close()

    def _client(self) -> OpenAI:
        """The ``openai`` client, but on a connection that ``close`` can reach."""
        from openai import DefaultHttpxClient

        hooks = {"request": [self._connection.watch]}
        http = DefaultHttpxClient(**self._server.client_options(), event_hooks=hooks)
        return self._server.openai(max_retries=0, http_client=http)

    def _tokens(self) -> Iterator[Token]:
        with self._client() as client:
            # Both are looked up here, for the client loads its parts, and the server's name is asked for, on first use.
            yield from self._read(client.chat.completions, self._server.model)

    def _read(self, completions: Any, model: str) -> Iterator[Token]:
        texts: list[str] = []
        thoughts: list[str] = []
        finish, usage, last, count, others = "", None, 0.0, 0, False
        begin = time.perf_counter()
        for chunk in completions.create(model=model, **self._request):
            usage = chunk.usage or usage
            self.told |= chunk.model_extra or {}
            for choice in chunk.choices:
                if choice.index:
                    others = True
                    continue
                last = time.perf_counter()
                finish = choice.finish_reason or finish
                texts.append(choice.delta.content or "")
                thoughts.append(_thinking(choice.delta))
                for token in _chunk_tokens(choice):
                    self.ttft_s = self.ttft_s or last - begin
                    count += 1
                    yield token
        if self._connection.closed:
            return
        if not finish:
            raise StreamBroken(
                _("The answer broke off; the server may have ended. Look at its log, then start it again.")
            )
        # The engine's count, where it tells one of this answer alone: tokens of one character may come in one chunk.
        generated = usage.completion_tokens if usage and not others else count
        self.answer = Answer(
            text="".join(texts),
            finish_reason=finish,
            ttft_s=self.ttft_s,
            tokens_per_s=_rate(generated - 1, last - begin - (self.ttft_s or 0)),
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=generated,
            thinking="".join(thoughts),
        )


def _rate(count: int, seconds: float) -> float | None:
    return count / seconds if count > 0 and seconds > 0 else None


def _thinking(delta: Any) -> str:
    """What a model wrote before its answer: ``reasoning_content`` (llama.cpp), ``reasoning`` (vLLM since 0.12)."""
    return str(getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None) or "")


def _chunk_tokens(choice: Any) -> list[Token]:
    """The tokens of one chunk: from the log-probabilities, which hold bytes, or else from the text."""
    thinking, text = _thinking(choice.delta), choice.delta.content or ""
    if not (choice.logprobs and choice.logprobs.content):
        parts = (Token(thinking.encode(), thinking=True), Token(text.encode()))
        return [part for part in parts if part.data]
    # A chunk with both begins with the thinking.
    tokens, left = [], len(thinking.encode())
    entries = choice.logprobs.content
    for entry, own in zip(entries, _ids(choice, entries), strict=True):
        token = _token(entry, own)
        tokens.append(replace(token, thinking=left > 0 or bool(thinking and not text)))
        left -= len(token.data)
    return tokens


def _ids(choice: Any, entries: list[Any]) -> list[int | None]:
    """The id of each entry's token: llama.cpp puts it into the entry, vLLM beside the entries."""
    beside = getattr(choice, "token_ids", None) or []
    return list(beside) if len(beside) == len(entries) else [getattr(entry, "id", None) for entry in entries]


def _token(entry: Any, own: int | None) -> Token:
    data = _bytes(entry)
    alternatives = tuple((_bytes(other), other.logprob) for other in entry.top_logprobs)
    # llama-server holds tokens back until a character is whole, then sends one entry with the bytes of all and the
    # probability of the last: it stands among the alternatives under the same id with fewer bytes. Not shown, because
    # it is not the probability of this text.
    same = [_bytes(other) for other in entry.top_logprobs if own is not None and getattr(other, "id", None) == own]
    if same and same[0] != data:
        return Token(data, id=own)
    return Token(data, entry.logprob, alternatives, id=own)


def _bytes(entry: Any) -> bytes:
    return bytes(entry.bytes) if entry.bytes is not None else entry.token.encode()


def _is_refusal_in_stream(error: Exception) -> bool:
    """Whether the answer began well and then said that the request is wrong, as vLLM does for some.

    Such an error has no HTTP status of its own; its body tells one.
    """
    import openai

    if not isinstance(error, openai.APIError) or isinstance(error, openai.APIConnectionError):
        return False
    code = error.body.get("code") if isinstance(error.body, dict) else None
    return isinstance(code, int) and 400 <= code < 500


def client_errors() -> tuple[type[Exception], ...]:
    """What OpenAI's client raises when a request or its answer fails; our own mistakes are none of these.

    While an answer comes, errors of its HTTP library (httpx, or httpx2 in newer versions) pass through it as they are;
    text that is no JSON gives a ValueError.
    """
    import openai

    libraries = [sys.modules[name] for name in ("httpx", "httpx2") if name in sys.modules]
    theirs = [error for library in libraries for error in (library.HTTPError, library.StreamError)]
    return (openai.OpenAIError, json.JSONDecodeError, UnicodeError, OSError, *theirs)


def explain(error: Exception, server: Server) -> CourseError:
    """A client's exception as one of ours; the original's words are in the details."""
    import openai

    details = f"{type(error).__name__}: {error}"
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return Unauthorized(_("The server expects another key; attach to it with the right key."), details=details)
    if isinstance(error, openai.APIStatusError) or _is_refusal_in_stream(error):
        assert isinstance(error, openai.APIError)
        status = error.status_code if isinstance(error, openai.APIStatusError) else 0
        return refusal(status, error.body, error.message, details)
    try:
        server.check()
    except CourseError as dead:
        kind = Unreachable if isinstance(dead, Unreachable) else StreamBroken
        return kind(dead.message, details=f"{details}\n{dead.details}")
    return StreamBroken(_("The answer broke off; send the request again."), details=details)
