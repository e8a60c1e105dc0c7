"""How many tokens TGI's KV cache holds, and what one request reserves of them.

TGI loads the weights, runs a prefill of ``max_batch_prefill_tokens``, and gives a share of the memory that is then free
to the KV cache. Every layer keeps every token, whatever windows the model has. On a model with FlashAttention,
``max_batch_total_tokens`` changes nothing: the cache's size follows from the free memory alone.
Source: TGI 3.3.7, launcher/src/main.rs, backends/v3/src/queue.rs, and flash_causal_lm.py of its server. TGI needs a
GPU, so this is read off its source and was not compared with a running server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from courselib.checks import check_choice, check_share, check_whole
from courselib.memory.model import Model

ENGINE = "TGI"
BYTES = {"bfloat16": 2, "float16": 2, "fp8_e4m3fn": 1, "fp8_e5m2": 1}
# The server's own TGI_WIGGLE_ROOM: what of the free memory it dares to take.
WIGGLE_ROOM = 0.9
# New tokens that a request reserves at a time.
RESERVED_AHEAD = 1024


@dataclass(frozen=True)
class Settings:
    """The settings of TGI on which its KV cache depends.

    Args:
        cuda_memory_fraction: what of the GPU's memory TGI may use.
        kv_cache_dtype: number format of the cache.
        num_shard: GPUs that share each layer's KV heads.

    Raises:
        SettingsError: a number out of its range, or an unknown number format.
    """

    cuda_memory_fraction: float = 1.0
    kv_cache_dtype: str = "bfloat16"
    num_shard: int = 1

    def __post_init__(self) -> None:
        check_share("cuda_memory_fraction", self.cuda_memory_fraction, most=1)
        check_choice("kv_cache_dtype", self.kv_cache_dtype, tuple(BYTES))
        check_whole("num_shard", self.num_shard, 1)


def bytes_per_token(model: Model, **settings: Any) -> int | None:
    """Bytes of KV cache that a token takes on each GPU; None where the model's layers are not known, or recurrent."""
    chosen = Settings(**settings)
    if not model.layers or model.has_state:
        return None
    numbers = sum(layer.keys + layer.values for layer in model.layers)
    return numbers // model.shards(chosen.num_shard) * BYTES[chosen.kv_cache_dtype]


def cache_tokens(model: Model, free: int, **settings: Any) -> int | None:
    """Tokens that the KV cache holds, which is the largest ``max_total_tokens`` possible; None where not known.

    Args:
        model: the model.
        free: bytes free on each GPU once the weights are loaded and the warm-up's prefill has run.
        settings: see ``Settings``.
    """
    each = bytes_per_token(model, **settings)
    share = Settings(**settings).cuda_memory_fraction * WIGGLE_ROOM
    return None if each is None else int(free * share) // each


def most_requests(model: Model, free: int, *, prompt: int, answer: int, **settings: Any) -> int | None:
    """Requests of ``prompt`` tokens, each for ``answer`` new ones, that run at once; None where that is not known.

    A request reserves its prompt and its new tokens before it runs, of these at most 1,024 at a time.
    """
    tokens = cache_tokens(model, free, **settings)
    return None if tokens is None else tokens // (prompt + min(answer, RESERVED_AHEAD))
