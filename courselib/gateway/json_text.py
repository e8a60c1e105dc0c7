"""JSON as serde_json reads it: the same texts are refused, at the same line and column.

Python's own reader takes more: numbers beyond every float, NaN, half of a surrogate pair, any depth. What comes out of
this one can be written as JSON and as UTF-8 again. The kinds of fault are serde_json's (1.0), but the wording covers
only the usual ones, and what TGI ignores is held to the same rules.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

# serde_json's own limit of arrays and objects within each other.
MOST_NESTED = 127
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[\]{}]|[^\s"\[\]{}:,]+', re.DOTALL)
ESCAPE = re.compile(r"\\(?:u(?P<unit>[0-9a-fA-F]{4})|.)", re.DOTALL)


class JsonFault(ValueError):
    """A text that is no JSON; its words are serde_json's, with line and column."""


class _Refused(Exception):
    """A word that only Python's reader takes; what is wrong with it, and after how many of its characters."""

    def __init__(self, word: str, fault: str, read: int) -> None:
        super().__init__(word)
        self.word, self.fault, self.read = word, fault, read


def loads(text: str) -> Any:
    """What the text stands for; no number in it is infinite, and whole ones that 64 bits cannot hold are floats.

    Raises:
        JsonFault: it is no JSON.
    """
    _check_depth(text)
    try:
        value = json.loads(text, parse_int=_whole, parse_float=_float, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise JsonFault(_words(error, text)) from None
    except _Refused as refused:
        at = next(token.start() for token in TOKEN.finditer(text) if token[0].startswith(refused.word))
        raise JsonFault(f"{refused.fault} at {position(text, at + refused.read)}") from None
    if "\\ud" in text or "\\uD" in text:
        _check_surrogates(text)
    return value


def _whole(digits: str) -> int | float:
    number = _float(digits)
    if digits == "-0" or abs(number) > 2.0**64:
        return number
    whole = int(digits)
    return whole if -(2**63) <= whole < 2**64 else number


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _Refused(digits, "number out of range", len(digits))
    return number


def _constant(name: str) -> Any:
    fault = "invalid number" if name.startswith("-") else "expected value"
    raise _Refused(name, fault, 2 if name.startswith("-") else 1)


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MOST_NESTED:
        return
    depth = 0
    for token in TOKEN.finditer(text):
        depth += (token[0] in "[{") - (token[0] in "]}")
        if depth > MOST_NESTED:
            raise JsonFault(f"recursion limit exceeded at {position(text, token.end())}")


def _check_surrogates(text: str) -> None:
    """Each half of a pair needs the other one directly beside it."""
    first = -1  # where a first half ended
    for escape in ESCAPE.finditer(text):
        unit = int(escape["unit"] or "0", 16)
        if first >= 0 and escape.start() != first:
            break
        second = 0xDC00 <= unit < 0xE000
        if second != (first >= 0):
            raise JsonFault(f"lone leading surrogate in hex escape at {position(text, escape.end())}")
        first = escape.end() if 0xD800 <= unit < 0xDC00 else -1
    if first >= 0:
        raise JsonFault(f"unexpected end of hex escape at {position(text, first + 1)}")


def _words(error: json.JSONDecodeError, text: str) -> str:
    if not text[error.pos :].strip():
        inside = "an object" if error.msg.startswith(("Expecting property", "Expecting ':'")) else "a value"
        return f"EOF while parsing {inside} at {position(text, len(text))}"
    kinds = {
        "Extra data": "trailing characters",
        "Expecting property name": "key must be a string",
        "Expecting ':'": "expected `:`",
        "Expecting ','": "expected `,` or `}`",
        "Illegal trailing comma": "trailing comma",
        "Unterminated string": "EOF while parsing a string",
        "Invalid control character": "control character (\\u0000-\\u001F) found while parsing a string",
        "Invalid \\": "invalid escape",
    }
    words = next((ours for theirs, ours in kinds.items() if error.msg.startswith(theirs)), "expected value")
    at = len(text) if words.startswith("EOF") else error.pos + 1
    return f"{words} at {position(text, at)}"


def position(text: str, end: int) -> str:
    """serde_json's line and column, in bytes, after the first ``end`` characters."""
    read = text[:end].encode(errors="replace")
    return f"line {read.count(10) + 1} column {len(read) - (read.rfind(10) + 1)}"
