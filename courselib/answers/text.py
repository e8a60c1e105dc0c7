"""Tokens are bytes, and people read characters.

A character of Chinese often spans two tokens, an emoji of a family more than ten. Here a run of tokens becomes one
``Span`` as soon as its bytes end where a character, as a person sees it, ends; nothing that was shown is ever changed,
and bytes that are no UTF-8 are shown in hexadecimal, never as a replacement mark.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass

import regex

HEX_ERRORS = "courselib-hex"
_CHARACTER = regex.compile(r"\X")


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
    """Turns tokens into spans as they come.

    A span is given out when the next one begins, for only then is it known whether a joining sign, a tone of skin or
    an accent still belongs to its last character (Unicode Standard Annex 29, extended grapheme clusters).
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(HEX_ERRORS)
        self._text = ""
        self._first = 0
        self._seen = 0
        self._held: Span | None = None

    def feed(self, token: bytes) -> Span | None:
        """Take a token's bytes; gives the span that is finished by it, if one is."""
        self._text += self._decoder.decode(token)
        self._seen += 1
        return None if self._decoder.getstate()[0] else self._hold()

    def finish(self) -> list[Span]:
        """What was held back and what was left unfinished, its bytes in hexadecimal."""
        done: list[Span | None] = []
        if self._first < self._seen:
            self._text += self._decoder.decode(b"", final=True)
            done.append(self._hold())
        done.append(self._held)
        self._held = None
        return [span for span in done if span]

    def _hold(self) -> Span | None:
        """Hold back the text so far as the newest span; gives the one held before, unless both are one."""
        new = Span(self._text, self._first, self._seen)
        self._text, self._first = "", self._seen
        before = self._held
        if before and _joined(before.text, new.text):
            self._held = Span(before.text + new.text, before.first, new.end)
            return None
        self._held = new
        return before


def _joined(before: str, after: str) -> bool:
    """Whether the last character of ``before`` goes on in ``after``."""
    if not before or not after or (before[-1].isascii() and after[0].isascii() and after[0] != "\n"):
        return False
    last = _CHARACTER.findall(before)[-1]
    return len(_CHARACTER.findall(last + after)[0]) > len(last)


def spans(tokens: Iterable[bytes]) -> list[Span]:
    """All the spans of a finished sequence of tokens."""
    builder = SpanBuilder()
    found = [span for token in tokens if (span := builder.feed(token))]
    return [*found, *builder.finish()]


def show(token: bytes) -> str:
    """One token by itself, as in a list of alternatives: text where it is text, else hexadecimal."""
    return token.decode("utf-8", HEX_ERRORS)
