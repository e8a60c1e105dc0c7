"""A model's shape from its ``config.json``, as the Hugging Face hub has it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from courselib.memory.model import Layer, Model, Weights

# Entries that say that a layer keeps something else than a key and a value of each token: sparse attention, a recurrent
# or convolution's state, another layer's cache, nothing.
OTHER_LAYOUTS = (
    "index_", "mamba", "ssm", "state_size", "conv_L_cache", "linear_", "lru_width", "recurrent", "layers_block_type",
    "hybrid", "attn_layer_", "attn_type_list", "full_attention_interval", "full_attn_idxs", "block_configs",
    "block_types", "num_kv_shared_layers", "attention_chunk_size", "global_head_dim", "num_global_key_value_heads",
)  # fmt: skip
OF_LAYER = re.compile(r"\blayers\.(\d+)\.")
EMBEDDING, OUTPUT = "embed_tokens.", "lm_head."
MOST_LAYERS = 1024


def from_config(config: Mapping[str, Any], tensors: Mapping[str, int] | None = None, *, name: str = "") -> Model:
    """A model's shape.

    Args:
        config: the content of ``config.json``.
        tensors: bytes of each tensor by its name, from the headers of the model's safetensors files.
        name: for people.
    """
    inner = config.get("text_config")
    text = inner if isinstance(inner, Mapping) else config
    heads = _whole(text, "num_attention_heads")
    size = _head_size(text, heads)
    experts = _whole(text, "num_experts_per_tok") * _whole(text, "moe_intermediate_size", "intermediate_size")
    return Model(
        name=name,
        architecture=str(text.get("model_type", config.get("model_type", ""))),
        layers=_layers(text, heads, size),
        weights=None if tensors is None else _weights(tensors),
        embedding=_whole(text, "hidden_size"),
        feed_forward=max(_whole(text, "intermediate_size"), experts),
        queries=heads * size,
        heads=heads,
        kv_heads=_whole(text, "num_key_value_heads") or heads,
        vocabulary=_whole(text, "vocab_size"),
        context_length=_whole(text, "max_position_embeddings"),
        dtype=str(text.get("dtype", text.get("torch_dtype", config.get("torch_dtype", "bfloat16")))),
    )


def _whole(config: Mapping[str, Any], *keys: str) -> int:
    """The first of the entries that is a whole number above 0, else 0."""
    stated = (config.get(key) for key in keys)
    return next((value for value in stated if isinstance(value, int) and not isinstance(value, bool) and value > 0), 0)


def _head_size(config: Mapping[str, Any], heads: int) -> int:
    return _whole(config, "head_dim") or (_whole(config, "hidden_size") // heads if heads else 0)


def _layers(config: Mapping[str, Any], heads: int, size: int) -> tuple[Layer, ...] | None:
    """What each layer keeps; None where the config leaves a doubt."""
    count = _whole(config, "num_hidden_layers")
    if not 0 < count <= MOST_LAYERS:  # the number is only what a file states
        return None
    kv_heads = config.get("num_key_value_heads", heads)
    windows = _windows(config, count)
    if windows is None or any(value for key, value in config.items() if key.startswith(OTHER_LAYOUTS)):
        return None
    if rank := _whole(config, "kv_lora_rank"):  # latent attention keeps one compressed vector and a rotated part
        return (Layer(keys=rank + _whole(config, "qk_rope_head_dim")),) * count or None
    if not (isinstance(kv_heads, int) and kv_heads > 0 and size):
        return None
    return tuple(Layer(kv_heads * size, kv_heads * size, window) for window in windows) or None


def _windows(config: Mapping[str, Any], count: int) -> tuple[int, ...] | None:
    """Each layer's window, 0 for the whole context."""
    window = _whole(config, "sliding_window") if config.get("use_sliding_window", True) else 0
    kinds = config.get("layer_types")
    if kinds is None and (period := _whole(config, "sliding_window_pattern")):
        kinds = ["full_attention" if (layer + 1) % period == 0 else "sliding_attention" for layer in range(count)]
    if kinds is None:
        return None if window else (0,) * count
    known = {"full_attention": 0, "sliding_attention": window}
    if (
        not isinstance(kinds, list)
        or len(kinds) != count
        or any(kind not in list(known) for kind in kinds)
        or (not window and "sliding_attention" in kinds)
    ):
        return None
    return tuple(known[kind] for kind in kinds)


def _weights(tensors: Mapping[str, int]) -> Weights:
    of_layers: Counter[int] = Counter()
    elsewhere: Counter[str] = Counter()
    for tensor, size in tensors.items():
        if found := OF_LAYER.search(tensor):
            of_layers[int(found[1])] += size
        else:
            place = "embedding" if EMBEDDING in tensor else "output" if OUTPUT in tensor else "other"
            elsewhere[place] += size
    return Weights(
        layers=tuple(of_layers[layer] for layer in range(max(of_layers, default=-1) + 1)),
        embedding=elsewhere["embedding"],
        output=elsewhere["output"],
        other=elsewhere["other"],
        tied=not elsewhere["output"],
    )
