"""Tokens are bytes, and people read characters.

A character of Chinese or an emoji often spans two or three tokens. Here a run of tokens becomes one ``Span`` as soon as
its bytes end where a character ends; nothing that was shown is ever changed, and bytes that are no UTF-8 are shown in
hexadecimal, never as a replacement mark.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass

HEX_ERRORS = "courselib-hex"


def _as_hex(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "".join(f"⟨0x{byte:02X}⟩" for byte in error.object[error.start : error.end]), error.end


codecs.register_error(HEX_ERRORS, _as_hex)


@dataclass(frozen=True)
class Span:
    """Whole characters, and the tokens (``first`` up to, not including, ``end``) whose bytes they are."""

    text: str
    first: int
    end: int


class SpanBuilder:
    """Turns tokens into spans as they come."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(HEX_ERRORS)
        self._text = ""
        self._first = 0
        self._seen = 0

    def feed(self, token: bytes) -> Span | None:
        """Take a token's bytes; gives a span if a character ends here, ``None`` while one is unfinished."""
        self._text += self._decoder.decode(token)
        self._seen += 1
        return None if self._decoder.getstate()[0] else self._cut()

    def finish(self) -> Span | None:
        """What was left unfinished, its bytes in hexadecimal; ``None`` if nothing was."""
        if self._first == self._seen:
            return None
        self._text += self._decoder.decode(b"", final=True)
        return self._cut()

    def _cut(self) -> Span:
        span = Span(self._text, self._first, self._seen)
        self._text, self._first = "", self._seen
        return span


def spans(tokens: Iterable[bytes]) -> list[Span]:
    """All the spans of a finished sequence of tokens."""
    builder = SpanBuilder()
    found = [span for token in tokens if (span := builder.feed(token))]
    last = builder.finish()
    return [*found, last] if last else found


def show(token: bytes) -> str:
    """One token by itself, as in a list of alternatives: text where it is text, else hexadecimal."""
    return token.decode("utf-8", HEX_ERRORS)
