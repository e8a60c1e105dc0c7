"""JSON read as Rust's serde reads it, for the same body must be refused in the same words and at the same column.

A reader takes a value and its path and gives back what it stands for, or raises ``Mismatch``. Imitated: serde under
axum 0.7's ``Json`` extractor.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Final, NamedTuple

from courselib.gateway.errors import ExtractorError
from courselib.gateway.json_text import JsonFault, loads, position

Path = tuple[str | int, ...]
Reader = Callable[[Any, Path], Any]

NOT_JSON = "Failed to parse the request body as JSON: "
NOT_OURS = "Failed to deserialize the JSON body into the target type: "
F32_MOST = 3.4028235677973366e38
REQUIRED: Final = object()


class Mismatch(Exception):
    """A value of another type; ``before`` for a list or object, which serde refuses before reading it."""

    def __init__(self, path: Path, message: str, *, before: bool = False) -> None:
        super().__init__(message)
        self.path, self.message, self.before = path, message, before


class Field(NamedTuple):
    """A field of an object: how to read it, what it is where absent, and other names for it."""

    read: Reader
    default: Any = REQUIRED
    aliases: tuple[str, ...] = ()


def _wrong(value: Any, path: Path, expected: str) -> Mismatch:
    return Mismatch(
        path, f"invalid type: {unexpected(value)}, expected {expected}", before=isinstance(value, list | dict)
    )


def unexpected(value: Any) -> str:
    """A value in the words of serde's ``Unexpected``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, str):
        return f"string {json.dumps(value, ensure_ascii=False)}"
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float):
        return f"floating point `{value!r}`"
    return "sequence" if isinstance(value, list) else "map"


def boolean(value: Any, path: Path) -> bool:
    """A bool."""
    if isinstance(value, bool):
        return value
    raise _wrong(value, path, "a boolean")


def string(value: Any, path: Path) -> str:
    """A String."""
    if isinstance(value, str):
        return value
    raise _wrong(value, path, "a string")


def integer(name: str, low: int, high: int) -> Reader:
    """A whole number from ``low`` to ``high``, called ``name`` in Rust."""

    def read(value: Any, path: Path) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong(value, path, name)
        if not low <= value <= high:
            raise Mismatch(path, f"invalid value: {unexpected(value)}, expected {name}")
        return value

    return read


u32 = integer("u32", 0, 2**32 - 1)
u64 = integer("u64", 0, 2**64 - 1)
usize = integer("usize", 0, 2**64 - 1)
i32 = integer("i32", -(2**31), 2**31 - 1)


def f32(value: Any, path: Path) -> float:
    """A number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return max(-F32_MOST, min(F32_MOST, float(value)))
    raise _wrong(value, path, "f32")


def anything(value: Any, _path: Path) -> Any:
    """Whatever it is."""
    return value


def optional(read: Reader) -> Reader:
    """The same, or null."""
    return lambda value, path: None if value is None else read(value, path)


def sequence(read: Reader) -> Reader:
    """A Vec."""

    def read_all(value: Any, path: Path) -> list[Any]:
        if not isinstance(value, list):
            raise _wrong(value, path, "a sequence")
        return [read(item, (*path, at)) for at, item in enumerate(value)]

    return read_all


def struct(name: str, fields: Mapping[str, Field]) -> Reader:
    """An object with these fields; other keys are ignored, as TGI does."""
    names = {spelling: key for key, field in fields.items() for spelling in (key, *field.aliases)}

    def read(value: Any, path: Path) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong(value, path, f"struct {name}")
        found: dict[str, Any] = {}
        for spelling, item in value.items():
            if (key := names.get(spelling)) is None:
                continue
            if key in found:
                raise Mismatch(path, f"duplicate field `{key}`")
            found[key] = fields[key].read(item, (*path, spelling))
        for key, field in fields.items():
            if key not in found and field.default is REQUIRED:
                raise Mismatch(path, f"missing field `{key}`")
        return {key: found.get(key, field.default) for key, field in fields.items()}

    return read


def parse(body: bytes, read: Reader) -> Any:
    """A body as ``read`` reads it.

    Raises:
        ExtractorError: 400 where it is no JSON, 422 where it is another.
    """
    text, value = _load(body)
    try:
        return read(value, ())
    except Mismatch as wrong:
        begin, end = _locate(text, wrong.path)
        where = position(text, begin if wrong.before else end)
        path = _dotted(wrong.path)
        raise ExtractorError(422, f"{NOT_OURS}{path}{wrong.message} at {where}") from None


def _load(body: bytes) -> tuple[str, Any]:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        before = body[: error.start].decode(errors="replace")
        where = position(before, len(before))
        raise ExtractorError(400, f"{NOT_JSON}invalid unicode code point at {where}") from None
    try:
        return text, loads(text)
    except JsonFault as fault:
        raise ExtractorError(400, f"{NOT_JSON}{fault}") from None


def _dotted(path: Path) -> str:
    words = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
    return f"{words}: " if words else ""


_SPACE = re.compile(r"\s*")


def _locate(text: str, path: Path) -> tuple[int, int]:
    """Where the value at ``path`` begins and ends in ``text``."""
    decoder = json.JSONDecoder()

    def skip(at: int) -> int:
        found = _SPACE.match(text, at)
        return found.end() if found else at

    at = skip(0)
    for step in path:
        at, count = skip(at + 1), 0
        while True:
            if text[at] == ",":
                at, count = skip(at + 1), count + 1
            key: str | int = count
            if isinstance(step, str):
                key, at = scanstring(text, at + 1, True)
                at = skip(skip(at) + 1)
            if key == step:
                break
            at = skip(decoder.raw_decode(text, at)[1])
    return at, decoder.raw_decode(text, at)[1]
