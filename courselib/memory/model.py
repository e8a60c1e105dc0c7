"""What decides how much memory a model needs: its tensors' bytes, what each layer keeps, and its widths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Layer:
    """What one layer keeps of the tokens it has seen.

    Args:
        keys, values: numbers a token takes (KV heads times the width of a head; with latent attention the compressed
            vector in ``keys`` and nothing in ``values``).
        window: tokens it looks back; 0 is the whole context.
        state: numbers a sequence takes whatever its length (a recurrent layer's).
    """

    keys: int = 0
    values: int = 0
    window: int = 0
    state: int = 0


@dataclass(frozen=True)
class Weights:
    """Bytes of a model's tensors, by where they are used.

    Args:
        layers: of each layer, the first layer's first.
        embedding: of the table that turns tokens into vectors.
        output: of the last norm and the output matrix; a model without such a matrix uses ``embedding`` again.
        other: of tensors that belong to none of these.
        tied: whether there is no output matrix of its own.
        matrices: bytes of the layers' matrices by ggml's name of their type (``q4_K``).
    """

    layers: tuple[int, ...] = ()
    embedding: int = 0
    output: int = 0
    other: int = 0
    tied: bool = False
    matrices: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.layers) + self.embedding + self.output + self.other


@dataclass(frozen=True)
class Model:
    """A model's shape, as far as memory depends on it.

    Args:
        name: for people.
        architecture: the family, as its file calls it.
        layers: what each layer keeps; None where the family's rules are not known here.
        weights: bytes of its tensors; None where a tensor's type is not known here.
        embedding: width of the vectors between layers.
        feed_forward: width of the widest feed-forward network; of a mixture of experts, of all that one token uses.
        queries: numbers in a token's queries (heads times the width of a head), of the widest layer.
        heads, kv_heads: attention heads, and those of keys and values, of the widest layer.
        vocabulary: tokens.
        merges: rules of a BPE tokenizer; 0 for another kind.
        context_length: tokens it was trained for; 0 where that is not known.
        dtype: number format of its weights in Hugging Face's names (``bfloat16``); empty for a GGUF.
    """

    name: str
    architecture: str
    layers: tuple[Layer, ...] | None
    weights: Weights | None = None
    embedding: int = 0
    feed_forward: int = 0
    queries: int = 0
    heads: int = 0
    kv_heads: int = 0
    vocabulary: int = 0
    merges: int = 0
    context_length: int = 0
    dtype: str = ""

    def shards(self, gpus: int) -> int:
        """Parts into which that many GPUs divide a layer's KV heads; what cannot be divided further is on several."""
        return min(gpus, self.kv_heads or gpus)

    @property
    def has_windows(self) -> bool:
        """Whether some layer looks back through a window only."""
        return any(layer.window for layer in self.layers or ())

    @property
    def has_state(self) -> bool:
        """Whether some layer is recurrent."""
        return any(layer.state for layer in self.layers or ())
