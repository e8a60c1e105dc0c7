"""A GGUF file's facts, read from its header in about 20 milliseconds.

The ``gguf`` package's reader makes an object of every string of the vocabulary and needs two seconds for 49,152 of
them, longer than an engine needs to start; a launch wants a dozen numbers. This reads scalars and steps over arrays.
Format: ggml's docs/gguf.md, versions 2 and 3. Nothing here trusts a length that the file states: whatever its bytes,
reading takes time in proportion to the file and ends in a header or in ``ModelCorrupt``.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from courselib.errors import ModelCorrupt, ModelNotFound
from courselib.i18n import _

# Value types by number: struct format of the scalars, then string and array.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
INTEGERS = frozenset({0, 1, 2, 3, 4, 5, 10, 11})
STRING, ARRAY = 8, 9
# Longer strings (a whole tokenizer.json, say) and arrays are stepped over: no fact below is one.
LONGEST_STRING_READ = 1 << 16
LONGEST_ARRAY_READ = 1 << 12
MOST_ENTRIES = 1 << 20
MOST_DIMENSIONS = 4
# ggml's tensor types by number: values a block, bytes a block (ggml-common.h).
BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18),
}  # fmt: skip
# What ``general.file_type`` numbers (llama.h, llama_ftype): the type most tensors have.
FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS",
    20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M",
    28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE",
    39: "NVFP4", 40: "Q1_0",
}  # fmt: skip


@dataclass(frozen=True)
class GgufHeader:
    """What a GGUF says of its model.

    Counts are plain numbers, 0 where the file does not say; where layers differ, the largest. ``context_length`` is
    what the model was trained for, in tokens; ``weights_bytes`` is the tensors' size in bytes; ``file_type`` the
    quantisation's name, such as ``Q4_1``.
    """

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
    file_type: str


@dataclass(frozen=True)
class _Array:
    length: int
    integers: tuple[int, ...] = ()


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
        """A scalar or a string; of an array its length, and the values if they are a few integers."""
        if kind == STRING:
            return self.string()
        return self.array() if kind == ARRAY else self.scalar(SCALARS[kind])

    def array(self) -> _Array:
        kind, length = self.scalar("I"), int(self.scalar("Q"))
        if kind in SCALARS:
            code = SCALARS[kind]
            begin = self.step(length * struct.calcsize("<" + code))
            if kind in INTEGERS and length <= LONGEST_ARRAY_READ:
                return _Array(length, struct.unpack_from(f"<{length}{code}", self.data, begin))
        elif kind == STRING:
            self._skip_strings(length)
        else:  # no fact of a model is an array of arrays
            raise ValueError(f"array of type {kind}")
        return _Array(length)

    def _skip_strings(self, length: int) -> None:
        unpack, data, at = struct.Struct("<Q").unpack_from, self.data, self.at
        for _entry in range(length):
            at += 8 + unpack(data, at)[0]
        self.at = at
        self.step(0)


def gguf_header(path: str | os.PathLike[str]) -> GgufHeader:
    """Read a GGUF's header.

    Args:
        path: the file; one that was read before and has not changed since is not read again.

    Raises:
        ModelNotFound: it cannot be opened.
        ModelCorrupt: it is no GGUF, or it is shorter than its header says.

    Source: llama.cpp logs the same numbers at ``-lv 4``.
    """
    file = Path(path)
    try:
        status = file.stat()
        return _read(file, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise ModelNotFound(_("{path} cannot be read: {reason}.").format(path=path, reason=error.strerror)) from None


@lru_cache(maxsize=16)
def _read(path: Path, size: int, _changed: int) -> GgufHeader:
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:4] != b"GGUF":
                raise ModelCorrupt(
                    _("{path} is no GGUF file (it does not begin with GGUF); llama.cpp needs one.").format(path=path)
                )
            header, end = _parse(_Reader(data))
    except (ValueError, KeyError, struct.error, OverflowError) as error:
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
        nbytes, offset = _tensor_info(reader)
        weights += nbytes
        end = max(end, offset + nbytes)
    alignment = _number(facts, "general.alignment", 32) or 32
    start = -(-reader.at // alignment) * alignment
    return _header(facts, tensors, weights), start + end


def _tensor_info(reader: _Reader) -> tuple[int, int]:
    """Size and offset of the next tensor, in bytes; a type newer than this table counts as nothing."""
    reader.string()
    dimensions, values = reader.scalar("I"), 1
    if dimensions > MOST_DIMENSIONS:
        raise ValueError(f"{dimensions} dimensions")
    for _dimension in range(dimensions):
        values *= reader.scalar("Q")
    per_block, block_bytes = BLOCKS.get(reader.scalar("I"), (1, 0))
    return values // per_block * block_bytes, int(reader.scalar("Q"))


def _number(facts: dict[str, Any], key: str, default: int = 0) -> int:
    value = facts.get(key, default)
    if isinstance(value, _Array):
        return max(value.integers, default=default)
    return int(value)


def _header(facts: dict[str, Any], tensors: int, weights_bytes: int) -> GgufHeader:
    architecture = str(facts["general.architecture"])

    def number(key: str, default: int = 0) -> int:
        return _number(facts, f"{architecture}.{key}", default)

    embedding, heads = number("embedding_length"), number("attention.head_count")
    per_head = embedding // heads if heads else 0
    tokens = facts.get("tokenizer.ggml.tokens")
    file_type = _number(facts, "general.file_type", -1)
    return GgufHeader(
        name=str(facts.get("general.name", "")),
        architecture=architecture,
        layers=number("block_count"),
        embedding=embedding,
        feed_forward=number("feed_forward_length"),
        heads=heads,
        kv_heads=number("attention.head_count_kv", heads),
        key_length=number("attention.key_length", per_head),
        value_length=number("attention.value_length", per_head),
        context_length=number("context_length"),
        vocabulary=tokens.length if isinstance(tokens, _Array) else number("vocab_size"),
        tensors=tensors,
        weights_bytes=weights_bytes,
        file_type=FILE_TYPES.get(file_type, ""),
    )
