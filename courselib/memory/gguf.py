"""A model's shape from the header of its GGUF."""

from __future__ import annotations

import re
from collections import Counter

from courselib.memory.gguf_layers import layers
from courselib.memory.header import Header
from courselib.memory.model import Model, Weights

# Names of tensors: llama.cpp's llama-arch.cpp.
OF_LAYER = re.compile(r"blk\.(\d+)\.")
EMBEDDING = "token_embd."
OUTPUT = "output"


def from_gguf(header: Header) -> Model:
    """A model's shape.

    Args:
        header: what ``courselib.models.gguf_header`` returns, of a local file or one on the hub.
    """
    kept = layers(header)
    return Model(
        name=header.name,
        architecture=header.architecture,
        layers=None if kept is None else tuple(kept),
        weights=_weights(header),
        embedding=header.embedding,
        feed_forward=_feed_forward(header),
        queries=header.heads * header.key_length,
        heads=header.heads,
        kv_heads=header.kv_heads,
        vocabulary=header.vocabulary,
        merges=header.merges,
        context_length=header.context_length,
    )


def _feed_forward(header: Header) -> int:
    """The widest network, or what a token uses of a mixture of experts where that is more."""
    experts = header.number("expert_used_count") * header.number("expert_feed_forward_length", header.feed_forward)
    return max(header.feed_forward, experts)


def _weights(header: Header) -> Weights | None:
    if header.weights_bytes is None:
        return None
    of_layers: Counter[int] = Counter()
    elsewhere: Counter[str] = Counter()
    matrices: Counter[str] = Counter()
    for name, tensor in header.by_tensor.items():
        if found := OF_LAYER.match(name):
            of_layers[int(found[1])] += tensor.nbytes
            if len(tensor.shape) > 1:
                matrices[tensor.kind] += tensor.nbytes
        else:
            elsewhere[_place(name)] += tensor.nbytes
    return Weights(
        layers=tuple(of_layers[layer] for layer in range(max(of_layers, default=-1) + 1)),
        embedding=elsewhere["embedding"],
        output=elsewhere["output"],
        other=elsewhere["other"],
        tied="output.weight" not in header.by_tensor,
        matrices=dict(matrices),
    )


def _place(name: str) -> str:
    if name.startswith(EMBEDDING):
        return "embedding"
    return "output" if name.startswith(OUTPUT) else "other"
