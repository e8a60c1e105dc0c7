"""One GGUF file, read in about 20 milliseconds.

The ``gguf`` package's reader makes an object of every string of the vocabulary and needs two seconds for 49,152 of
them, longer than an engine needs to start; a launch wants a dozen numbers. This reads scalars and short arrays and
steps over the rest. Format: ggml's docs/gguf.md, versions 2 and 3. Nothing here trusts a length that the file states:
whatever its bytes, reading takes time in proportion to the file and ends in a ``GgufFile`` or in ``ModelCorrupt``.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from courselib.errors import ModelCorrupt
from courselib.i18n import _
from courselib.models.gguf_tables import ARRAY, BLOCKS, SCALARS, STRING, TYPES, WHOLE_NUMBERS
from courselib.models.not_gguf import LOOKED_AT, no_gguf_message, version_message

# Longer strings (a whole tokenizer.json, say) and arrays are stepped over: no fact of a model is one.
LONGEST_STRING_READ = 1 << 16
LONGEST_ARRAY_READ = 1 << 12
MOST_ENTRIES = 1 << 20
MOST_DIMENSIONS = 4
DEFAULT_ALIGNMENT = 32
MAGIC = b"GGUF"


@dataclass(frozen=True)
class GgufArray:
    """An array's length, and its values if they are a few whole numbers or booleans."""

    length: int
    values: tuple[int, ...] = ()


Fact: TypeAlias = "int | float | bool | str | GgufArray"


class Tensor(NamedTuple):
    """One tensor as the header describes it.

    Args:
        shape: its lengths, the row's first.
        kind: ggml's name of its type, such as ``q4_K``; empty where it is not known here.
        nbytes: its size; None where the type is not known here.
    """

    shape: tuple[int, ...]
    kind: str
    nbytes: int | None


@dataclass(frozen=True)
class GgufFile:
    """One file's facts by their keys, and its tensors by their names."""

    facts: Mapping[str, Fact]
    by_tensor: Mapping[str, Tensor]


class _Reader:
    def __init__(self, data: mmap.mmap | bytes) -> None:
        self.data, self.at = data, 0

    def scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def count(self, most: int) -> int:
        number = int(self.scalar("Q"))
        if number > most:
            raise ValueError(f"count {number}")
        return number

    def step(self, nbytes: int) -> int:
        """Go ``nbytes`` on; where it began."""
        begin = self.at
        self.at += nbytes
        if self.at > len(self.data):
            raise ValueError(f"{nbytes} bytes at {begin} reach beyond the end")
        return begin

    def string(self) -> str:
        length = int(self.scalar("Q"))
        begin = self.step(length)
        return self.data[begin : begin + min(length, LONGEST_STRING_READ)].decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        """A scalar, a string, or an array."""
        if kind == STRING:
            return self.string()
        return self.array() if kind == ARRAY else self.scalar(SCALARS[kind])

    def array(self) -> GgufArray:
        kind, length = self.scalar("I"), int(self.scalar("Q"))
        if kind in SCALARS:
            code = SCALARS[kind]
            begin = self.step(length * struct.calcsize("<" + code))
            if kind in WHOLE_NUMBERS and length <= LONGEST_ARRAY_READ:
                return GgufArray(length, tuple(map(int, struct.unpack_from(f"<{length}{code}", self.data, begin))))
        elif kind == STRING:
            self._skip_strings(length)
        else:  # no fact of a model is an array of arrays
            raise ValueError(f"array of type {kind}")
        return GgufArray(length)

    def _skip_strings(self, length: int) -> None:
        unpack, data, at = struct.Struct("<Q").unpack_from, self.data, self.at
        for _entry in range(length):
            at += 8 + unpack(data, at)[0]
        self.at = at
        self.step(0)


def read_gguf(path: Path) -> GgufFile:
    """Read one file; one that was read before and has not changed since is not read again.

    Raises:
        OSError: it cannot be opened.
        ModelCorrupt: it is no GGUF, or it is shorter than its header says.
    """
    status = path.stat()
    return _read(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _read(path: Path, size: int, _changed: int) -> GgufFile:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return parse_gguf(path, data, size)
    except ValueError as error:  # an empty file cannot be mapped
        raise unreadable(path, error) from None


def parse_gguf(path: Path, data: mmap.mmap | bytes, size: int) -> GgufFile:
    """Read a header.

    Args:
        path: the file, for messages.
        data: its bytes, as many as the header has at least.
        size: how long the whole file is.

    Raises:
        ModelCorrupt: it is no GGUF, its header ends beyond ``data``, or the file is shorter than the header says.
    """
    if data[:4] != MAGIC:
        raise ModelCorrupt(no_gguf_message(path, data[:LOOKED_AT]))
    reader = _Reader(data)
    reader.at = len(MAGIC)
    try:
        if refusal := version_message(path, reader.scalar("I")):
            raise ModelCorrupt(refusal)
        content, end = _parse(reader)
    except (ValueError, KeyError, struct.error, OverflowError) as error:
        raise unreadable(path, error) from None
    if end > size:
        raise ModelCorrupt(
            _("{path} is cut short ({size} bytes of {end}); download it again.").format(path=path, size=size, end=end)
        )
    return content


def unreadable(path: Path, error: Exception) -> ModelCorrupt:
    """The error for a header whose bytes make no sense."""
    return ModelCorrupt(
        _("The header of {path} cannot be read; download the file again.").format(path=path), details=repr(error)
    )


def _parse(reader: _Reader) -> tuple[GgufFile, int]:
    """What follows the version, and where the file must end at the earliest."""
    tensors, entries = reader.count(MOST_ENTRIES), reader.count(MOST_ENTRIES)
    facts: dict[str, Fact] = {}
    for _entry in range(entries):
        key = reader.string()
        facts[key] = reader.value(reader.scalar("I"))
    end = 0
    described: dict[str, Tensor] = {}
    for _tensor in range(tensors):
        name, tensor, offset = _tensor_info(reader)
        if name in described:
            raise ValueError(f"two tensors {name!r}")  # llama.cpp refuses that, too
        described[name] = tensor
        # A tensor of an unknown type has at least its first byte.
        end = max(end, offset + (1 if tensor.nbytes is None else tensor.nbytes))
    alignment = facts.get("general.alignment") or DEFAULT_ALIGNMENT
    if isinstance(alignment, GgufArray):
        raise ValueError("general.alignment is an array")
    start = -(-reader.at // int(alignment)) * int(alignment)
    return GgufFile(facts, described), start + end


def _tensor_info(reader: _Reader) -> tuple[str, Tensor, int]:
    """The next tensor's name, what it is, and its offset in bytes."""
    name, dimensions = reader.string(), reader.scalar("I")
    if dimensions > MOST_DIMENSIONS:
        raise ValueError(f"{dimensions} dimensions")
    shape = tuple(int(reader.scalar("Q")) for _dimension in range(dimensions))
    kind = reader.scalar("I")
    block, offset = BLOCKS.get(kind), int(reader.scalar("Q"))
    nbytes = math.prod(shape) // block[0] * block[1] if block else None
    return name, Tensor(shape, TYPES.get(kind, ""), nbytes), offset
