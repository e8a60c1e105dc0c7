"""A chat answer as it comes: tokens with their probabilities, then what was measured.

Uses the ``openai`` client, as a learner would; adds times, the tokens' bytes, and errors in one sentence each.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from courselib.errors import (
    CourseError,
    PromptTooLong,
    RequestRefused,
    SettingsError,
    StreamBroken,
    Unauthorized,
    Unreachable,
)
from courselib.i18n import _

if TYPE_CHECKING:
    from courselib.engines.server import Server


@dataclass(frozen=True)
class Token:
    """One token: its bytes, the natural log of its probability, and the likeliest tokens in its place with theirs.

    Engines that tell no log-probabilities leave ``logprob`` at None and ``alternatives`` empty.
    """

    data: bytes
    logprob: float | None = None
    alternatives: tuple[tuple[bytes, float], ...] = ()


@dataclass(frozen=True)
class Answer:
    """What was measured of a finished answer.

    ``ttft_s`` is seconds from the request to the first token, ``tokens_per_s`` counts the tokens after the first
    against the time after the first; None where there are too few tokens to tell.
    """

    text: str
    finish_reason: str
    ttft_s: float | None
    tokens_per_s: float | None
    prompt_tokens: int | None
    completion_tokens: int


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
    """Iterate over it for the tokens; ``answer`` is there when the iteration has ended.

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
        self._response: Any = None
        self.answer: Answer | None = None

    def __iter__(self) -> Iterator[Token]:
        try:
            yield from self._tokens()
        except (CourseError, GeneratorExit):
            raise
        except Exception as error:
            raise explain(error, self._server) from error

    def close(self) -> None:
        """Break off: the engine stops generating when its client has gone."""
        if self._response is not None:
            self._response.close()

    def _tokens(self) -> Iterator[Token]:
        parts: list[bytes] = []
        finish, usage, first, last = "", None, 0.0, 0.0
        begin = time.perf_counter()
        client = self._server.openai(max_retries=0)
        self._response = client.chat.completions.create(model=self._server.model, **self._request)
        for chunk in self._response:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                last = time.perf_counter()
                finish = choice.finish_reason or finish
                for token in _chunk_tokens(choice):
                    first = first or last
                    parts.append(token.data)
                    yield token
        if not finish:
            raise StreamBroken(
                _("The answer broke off; the server may have ended. Look at its log, then start it again.")
            )
        # The engine's count, where it tells one: tokens of one character may come together in one chunk.
        generated = usage.completion_tokens if usage else len(parts)
        self.answer = Answer(
            text=b"".join(parts).decode("utf-8", "backslashreplace"),
            finish_reason=finish,
            ttft_s=first - begin if parts else None,
            tokens_per_s=(generated - 1) / (last - first) if generated > 1 and last > first else None,
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=generated,
        )


def _chunk_tokens(choice: Any) -> list[Token]:
    """The tokens of one chunk: from the log-probabilities, which hold bytes, or else from the text."""
    if choice.logprobs and choice.logprobs.content:
        return [_token(entry) for entry in choice.logprobs.content]
    return [Token(choice.delta.content.encode())] if choice.delta.content else []


def _token(entry: Any) -> Token:
    data = _bytes(entry)
    alternatives = tuple((_bytes(other), other.logprob) for other in entry.top_logprobs)
    # llama-server holds tokens back until a character is whole, then sends one entry with the bytes of all and the
    # probability of the last: it stands among the alternatives under the same id with fewer bytes. Not shown, because
    # it is not the probability of this text.
    own = getattr(entry, "id", None)
    same = [_bytes(other) for other in entry.top_logprobs if own is not None and getattr(other, "id", None) == own]
    if same and same[0] != data:
        return Token(data)
    return Token(data, entry.logprob, alternatives)


def _bytes(entry: Any) -> bytes:
    return bytes(entry.bytes) if entry.bytes is not None else entry.token.encode()


def explain(error: Exception, server: Server) -> CourseError:
    """A client's exception as one of ours; the original's words are in the details."""
    import openai

    details = f"{type(error).__name__}: {error}"
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return Unauthorized(_("The server wants another key; attach to it with the right one."), details=details)
    if isinstance(error, openai.APIStatusError):
        body = error.body if isinstance(error.body, dict) else {}
        if body.get("type") == "exceed_context_size_error":
            return PromptTooLong(
                _(
                    "The prompt has {n} tokens, but the context holds {most}; shorten it, or start with more context."
                ).format(n=body.get("n_prompt_tokens"), most=body.get("n_ctx")),
                details=details,
            )
        words = str(body.get("message") or error.message).rstrip(".")
        return RequestRefused(_("The server refused the request: {words}.").format(words=words), details=details)
    try:
        server.check()
    except CourseError as dead:
        kind = Unreachable if isinstance(dead, Unreachable) else StreamBroken
        return kind(dead.message, details=f"{details}\n{dead.details}")
    return StreamBroken(_("The answer broke off; send the request again."), details=details)
