"""A model's facts, from the header of its GGUF or of all its parts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from courselib.errors import ModelCorrupt, ModelError, ModelNotFound
from courselib.i18n import _
from courselib.models.gguf_file import Fact, GgufArray, GgufFile, Tensor, read_gguf, unreadable
from courselib.models.gguf_tables import FILE_TYPES, POOLING
from courselib.models.kinds import WITHOUT_CACHE, check_language_model, no_writer_message
from courselib.models.parts import part_names

MOST_LAYERS = 1024  # llama.cpp takes 512 (llama-hparams.h)


@dataclass(frozen=True)
class GgufHeader:
    """What a GGUF says of its model.

    Counts are plain numbers, 0 where the file does not say; where layers differ, the largest (``by_layer`` has each).

    Args:
        name: the model's name.
        architecture: what llama.cpp calls its family, such as ``llama``.
        layers, embedding, feed_forward, heads, kv_heads, key_length, value_length, vocabulary: its shape.
        context_length: what the model was trained for, in tokens.
        tensors: number of tensors, in all parts.
        weights_bytes: the tensors' size in bytes; None where a tensor's type is not known here.
        file_type: the quantisation's name, such as ``Q4_1``.
        parts: number of files.
        pooling: how an embedding model's tokens become one vector: ``mean``, ``cls``, ``last``; ``rank`` for a
            reranker, ``none`` or empty for a model that writes text.
        chat_template: whether the file has one; without it, a model completes text and does not chat.
        merges: rules of a BPE tokenizer; 0 for another kind.
        by_tensor: each tensor's shape, type and bytes, by its name.
        facts: all entries but the tokenizer's, by their keys.
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
    weights_bytes: int | None
    file_type: str
    parts: int = 1
    pooling: str = ""
    chat_template: bool = False
    merges: int = 0
    by_tensor: Mapping[str, Tensor] = field(default_factory=dict, repr=False, compare=False)
    facts: Mapping[str, Fact] = field(default_factory=dict, repr=False, compare=False)

    @property
    def writes_text(self) -> bool:
        """Whether it is a model that continues a text, and not one for embeddings or reranking, or an encoder."""
        return self.pooling in ("", "none") and self.architecture not in WITHOUT_CACHE

    def has(self, key: str, *, array: bool = False) -> bool:
        """Whether there is an entry ``<architecture>.<key>``; with ``array``, one that is an array."""
        value = self.facts.get(f"{self.architecture}.{key}")
        return isinstance(value, GgufArray) if array else value is not None

    def number(self, key: str, default: int = 0) -> int:
        """The whole number under ``<architecture>.<key>``; of an array the largest."""
        value = self.facts.get(f"{self.architecture}.{key}")
        if isinstance(value, GgufArray):
            return max(value.values, default=default)
        return int(value) if isinstance(value, int) else default

    def by_layer(self, key: str, default: int = 0) -> tuple[int, ...] | None:
        """The whole number under ``<architecture>.<key>`` for each layer; None for an array of another length.

        None, too, for more layers than any engine takes: the number is only what a file states.
        """
        if self.layers > MOST_LAYERS:
            return None
        value = self.facts.get(f"{self.architecture}.{key}")
        if isinstance(value, GgufArray):
            return value.values if len(value.values) == self.layers else None
        return (self.number(key, default),) * self.layers


def gguf_header(path: str | os.PathLike[str]) -> GgufHeader:
    """Read the header of a model.

    Args:
        path: its GGUF, or any part of it; a file that was read before and has not changed since is not read again.

    Raises:
        ModelNotFound: it, or one of its parts, cannot be opened.
        ModelCorrupt: it is no GGUF, shorter than its header says, or no language model.

    Source: llama.cpp logs the same numbers at ``-lv 4``.
    """
    file = Path(path)
    try:
        parts = [read_gguf(part) for part in _parts(file, read_gguf(file))]
    except OSError as error:
        raise ModelNotFound(_("{path} cannot be read: {reason}.").format(path=path, reason=error.strerror)) from None
    return header_of(file, parts)


def header_of(file: Path, parts: list[GgufFile]) -> GgufHeader:
    """The model's header from those of its files.

    Args:
        file: what to call the model in a message.
        parts: the headers of all its files, in order.

    Raises:
        ModelCorrupt: it is no language model, or its entries make no sense.
    """
    check_language_model(file, parts[0].facts)
    try:
        return _header(parts)
    except (ValueError, OverflowError) as error:
        raise unreadable(file, error) from None


def text_model_header(path: str | os.PathLike[str]) -> GgufHeader:
    """The header of a model that is to generate text.

    Raises:
        ModelNotFound, ModelCorrupt: as ``gguf_header``.
        ModelError: it is one for embeddings or reranking, or an encoder.
    """
    header = gguf_header(path)
    if not header.writes_text:
        raise ModelError(no_writer_message(Path(path), header.pooling, header.architecture))
    return header


def _parts(file: Path, content: GgufFile) -> list[Path]:
    """All files of the model."""
    count = content.facts.get("split.count", 0)
    if not isinstance(count, int) or count <= 1:
        return [file]
    names = part_names(file.name)
    if len(names) != count:
        raise ModelCorrupt(
            _(
                "{path} is one of {count} parts of a model, which llama.cpp finds by their names; rename it to end in"
                " -00001-of-{count:05d}.gguf (or its own number), and keep it in the folder of the others."
            ).format(path=file, count=count)
        )
    paths = [file.with_name(name) for name in names]
    for number, part in enumerate(paths, start=1):
        if not part.is_file():
            raise ModelNotFound(
                _("{part}, part {number} of {count} of this model, is missing in {folder}; download it, too.").format(
                    part=part.name, number=number, count=count, folder=part.parent
                )
            )
    return paths


def _number(facts: Mapping[str, Fact], key: str, default: int = 0) -> int:
    value = facts.get(key, default)
    if isinstance(value, GgufArray):
        return max(value.values, default=default)
    return int(value)


def _header(parts: list[GgufFile]) -> GgufHeader:
    facts = parts[0].facts
    described = {name: tensor for part in parts for name, tensor in part.by_tensor.items()}
    sizes = [tensor.nbytes for tensor in described.values()]
    architecture = str(facts["general.architecture"])

    def number(key: str, default: int = 0) -> int:
        return _number(facts, f"{architecture}.{key}", default)

    embedding, heads = number("embedding_length"), number("attention.head_count")
    per_head = embedding // heads if heads else 0
    tokens, merges = facts.get("tokenizer.ggml.tokens"), facts.get("tokenizer.ggml.merges")
    kept = {key: value for key, value in facts.items() if not key.startswith("tokenizer.")}
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
        vocabulary=tokens.length if isinstance(tokens, GgufArray) else number("vocab_size"),
        tensors=len(described),
        weights_bytes=None if None in sizes else sum(filter(None, sizes)),
        file_type=FILE_TYPES.get(_number(facts, "general.file_type", -1), ""),
        parts=len(parts),
        pooling=POOLING.get(number("pooling_type", -1), ""),
        chat_template="tokenizer.chat_template" in facts,
        merges=merges.length if isinstance(merges, GgufArray) else 0,
        by_tensor=MappingProxyType(described),
        facts=MappingProxyType(kept),
    )
