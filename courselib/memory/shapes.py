"""Shapes of well-known models, for use without the hub: the entries of their ``config.json``.

Weights are those of a dense model of Llama's kind, in 16 bits, tensor by tensor; their sum is the number of parameters
that the hub states for each. Of a mixture of experts only the KV cache is known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from courselib.errors import ModelNotFound
from courselib.i18n import _
from courselib.memory.hf_config import from_config
from courselib.memory.model import Model, Weights

BFLOAT16 = 2
# By the repository on the hub whose config.json it is.
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "meta-llama/Llama-3.1-8B-Instruct": {
        "model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14_336,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128_256, "max_position_embeddings": 131_072,
    },
    "meta-llama/Llama-3.1-70B-Instruct": {
        "model_type": "llama", "num_hidden_layers": 80, "hidden_size": 8192, "intermediate_size": 28_672,
        "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 128_256, "max_position_embeddings": 131_072,
    },
    "mistralai/Mistral-7B-Instruct-v0.3": {
        "model_type": "mistral", "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14_336,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32_768, "max_position_embeddings": 32_768,
    },
    "Qwen/Qwen2.5-7B-Instruct": {
        "model_type": "qwen2", "num_hidden_layers": 28, "hidden_size": 3584, "intermediate_size": 18_944,
        "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152_064, "max_position_embeddings": 32_768,
    },
    "openai/gpt-oss-20b": {
        "model_type": "gpt_oss", "num_hidden_layers": 24, "hidden_size": 2880, "intermediate_size": 2880,
        "head_dim": 64, "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 201_088,
        "num_experts_per_tok": 4, "max_position_embeddings": 131_072,
        "sliding_window": 128, "layer_types": ["sliding_attention", "full_attention"] * 12,
    },
    "openai/gpt-oss-120b": {
        "model_type": "gpt_oss", "num_hidden_layers": 36, "hidden_size": 2880, "intermediate_size": 2880,
        "head_dim": 64, "num_attention_heads": 64, "num_key_value_heads": 8, "vocab_size": 201_088,
        "num_experts_per_tok": 4, "max_position_embeddings": 131_072,
        "sliding_window": 128, "layer_types": ["sliding_attention", "full_attention"] * 18,
    },
}  # fmt: skip
WITH_BIAS = frozenset({"qwen2"})  # of queries, keys and values


def known_models() -> tuple[str, ...]:
    """The models whose shapes are known here, by their names on the hub."""
    return tuple(CONFIGS)


def known_model(name: str) -> Model:
    """The shape of one of ``known_models()``, with its weights in bfloat16.

    Raises:
        ModelNotFound: it is not one of them.
    """
    if (config := CONFIGS.get(name)) is None:
        raise ModelNotFound(
            _("The shape of {name!r} is not in the table; choose one of {names}.").format(
                name=name, names=", ".join(CONFIGS)
            )
        )
    model = from_config(config, name=name)
    return replace(model, weights=None if "num_experts_per_tok" in config else _dense(model))


def _dense(model: Model) -> Weights:
    width, layers = model.embedding, model.layers or ()
    table = BFLOAT16 * model.vocabulary * width
    of_layers = []
    for layer in layers:
        kept = model.queries + layer.keys + layer.values
        attention = width * (kept + model.queries) + (kept if model.architecture in WITH_BIAS else 0)
        of_layers.append(BFLOAT16 * (attention + 3 * width * model.feed_forward + 2 * width))
    return Weights(tuple(of_layers), embedding=table, output=table, other=BFLOAT16 * width)
