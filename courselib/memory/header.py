"""What this room asks of a GGUF's header; ``courselib.models.GgufHeader`` has it, but this room knows no files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Header(Protocol):
    """A GGUF's header; counts are 0 where the file does not say."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def architecture(self) -> str:
        """What llama.cpp calls its family."""

    @property
    def layers(self) -> int:
        """Number of layers."""

    @property
    def embedding(self) -> int:
        """Width of the vectors between layers."""

    @property
    def feed_forward(self) -> int:
        """Width of the feed-forward network, of the widest layer."""

    @property
    def heads(self) -> int:
        """Attention heads, of the widest layer."""

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values, of the widest layer."""

    @property
    def key_length(self) -> int:
        """Width of a head's key."""

    @property
    def value_length(self) -> int:
        """Width of a head's value."""

    @property
    def context_length(self) -> int:
        """Tokens it was trained for."""

    @property
    def vocabulary(self) -> int:
        """Number of tokens."""

    @property
    def merges(self) -> int:
        """Rules of a BPE tokenizer."""

    @property
    def weights_bytes(self) -> int | None:
        """Bytes of all tensors; None where a type is not known."""

    @property
    def by_tensor(self) -> Mapping[str, Any]:
        """Each tensor by its name: ``shape``, ``kind``, ``nbytes``."""

    def has(self, key: str, *, array: bool = False) -> bool:
        """Whether there is an entry of the architecture's under that key; with ``array``, one that is an array."""

    def number(self, key: str, default: int = 0) -> int:
        """The entry's whole number; of an array the largest."""

    def by_layer(self, key: str, default: int = 0) -> tuple[int, ...] | None:
        """The entry's whole number for each layer."""
