"""A GGUF file's facts, read from its header in a few milliseconds.

The ``gguf`` package's reader loads every string of the vocabulary, which takes longer than starting the engine; a
launch needs a dozen numbers. This reads scalars and skips arrays. Format: ggml's docs/gguf.md, versions 2 and 3.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from courselib.errors import ModelCorrupt
from courselib.i18n import _

# Value types by number: struct format of the scalars, then string and array.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
LONGEST_STRING = 1 << 20
MOST_ENTRIES = 1 << 24
# ggml's tensor types by number: values a block, bytes a block (ggml-common.h).
BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip


@dataclass(frozen=True)
class GgufHeader:
    """What a GGUF says of its model. Counts are plain numbers; ``weights_bytes`` is the tensors' size in bytes."""

    name: str
    architecture: str
    layers: int
    embedding: int
    feed_forward: int
    heads: int
    kv_heads: int
    key_length: int
    value_length: int
    context_length: int
    vocabulary: int
    tensors: int
    weights_bytes: int


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
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

    def string(self) -> str:
        length = self.count(LONGEST_STRING)
        self.at += length
        if self.at > len(self.data):
            raise ValueError("string beyond the end")
        return self.data[self.at - length : self.at].decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        """A scalar or string; of an array only its length."""
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.scalar(SCALARS[kind])
        inner, length = self.scalar("I"), self.count(MOST_ENTRIES)
        if inner in SCALARS:
            self.at += length * struct.calcsize("<" + SCALARS[inner])
        else:
            self._skip_each(inner, length)
        return length

    def _skip_each(self, kind: int, length: int) -> None:
        if kind != STRING:
            for _entry in range(length):
                self.value(kind)
            return
        unpack, data, at = struct.Struct("<Q").unpack_from, self.data, self.at
        for _entry in range(length):
            at += 8 + unpack(data, at)[0]
        self.at = at


def gguf_header(path: str | os.PathLike[str]) -> GgufHeader:
    """Read a GGUF's header.

    Raises:
        ModelCorrupt: it is no GGUF, or it is shorter than its header says.
    """
    file = Path(path)
    status = file.stat()
    return _read(file, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _read(path: Path, size: int, _changed: int) -> GgufHeader:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:4] != b"GGUF":
                raise ModelCorrupt(
                    _("{path} is no GGUF file (it does not begin with GGUF); llama.cpp needs one.").format(path=path)
                )
            header, end = _parse(_Reader(data))
    except (ValueError, KeyError, struct.error, OverflowError, RecursionError) as error:
        raise ModelCorrupt(
            _("The header of {path} cannot be read; download the file again.").format(path=path), details=repr(error)
        ) from None
    if end > size:
        raise ModelCorrupt(
            _("{path} is cut short ({size} bytes of {end}); download it again.").format(path=path, size=size, end=end)
        )
    return header


def _parse(reader: _Reader) -> tuple[GgufHeader, int]:
    """The header, and where the file must end at the earliest."""
    reader.at = 4
    version = reader.scalar("I")
    if version not in (2, 3):
        raise ValueError(f"version {version}")
    tensors, entries = reader.count(MOST_ENTRIES), reader.count(MOST_ENTRIES)
    facts: dict[str, Any] = {}
    for _entry in range(entries):
        key = reader.string()
        facts[key] = reader.value(reader.scalar("I"))
    end, weights = 0, 0
    for _tensor in range(tensors):
        reader.string()
        values = 1
        for _dimension in range(reader.scalar("I")):
            values *= reader.scalar("Q")
        kind, offset = reader.scalar("I"), reader.scalar("Q")
        per_block, block_bytes = BLOCKS.get(kind, (1, 0))
        nbytes = values // per_block * block_bytes
        weights += nbytes
        end = max(end, offset + nbytes)
    alignment = int(facts.get("general.alignment", 32)) or 32
    start = -(-reader.at // alignment) * alignment
    return _header(facts, tensors, weights), start + end


def _header(facts: dict[str, Any], tensors: int, weights_bytes: int) -> GgufHeader:
    architecture = str(facts["general.architecture"])

    def number(key: str, default: int) -> int:
        return int(facts.get(f"{architecture}.{key}", default))

    heads = number("attention.head_count", 0)
    per_head = number("embedding_length", 0) // heads if heads else 0
    return GgufHeader(
        name=str(facts.get("general.name", "")),
        architecture=architecture,
        layers=number("block_count", 0),
        embedding=number("embedding_length", 0),
        feed_forward=number("feed_forward_length", 0),
        heads=heads,
        kv_heads=number("attention.head_count_kv", heads),
        key_length=number("attention.key_length", per_head),
        value_length=number("attention.value_length", per_head),
        context_length=number("context_length", 0),
        vocabulary=int(facts.get("tokenizer.ggml.tokens", 0)),
        tensors=tensors,
        weights_bytes=weights_bytes,
    )
