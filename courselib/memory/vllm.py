"""How many tokens vLLM's KV cache holds: bytes, blocks, and what one request takes of them.

    model = memory.from_config(json.loads(path.read_text()))
    memory.vllm.cache(model, kv_cache_memory=memory.GIB, max_model_len=8192).tokens

vLLM sets aside all of its cache at the start and cuts it into blocks. A block holds ``block_size`` tokens of a group of
layers. Where all layers are alike, there is one group. Where some look back through a window only, layers are dealt
into groups of equal number, each with block tables of its own, and all groups take their blocks from one pool: a
window's group needs few blocks for a long request, but a block is as large for it as for the others.
Source: vLLM 0.32, v1/core/kv_cache_utils.py and v1/kv_cache_interface.py.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from courselib.checks import check_choice, check_whole
from courselib.memory.estimate import Estimate, Part
from courselib.memory.inverse import largest
from courselib.memory.model import Model
from courselib.memory.units import GIB

ENGINE = "vLLM"
GPU_BLOCK, CPU_BLOCK = 16, 128
BYTES = {"bfloat16": 2, "float16": 2, "float32": 4, "fp8": 1}
# What ``auto`` makes of weights in 32 bits (config/model.py, _resolve_auto_dtype).
AUTO = {"float32": "bfloat16"}
# Where the largest kind of layers is fewer than this many times the smallest, it sets the size of all groups.
NEARLY_EQUAL = 1.5
# The three processes of vLLM's CPU build without weights and KV cache, at first and for each token of the vocabulary.
# A line through two models, measured with vLLM 0.32 (benchmarks/results/vllm_memory.md): 1.63 to 1.70 GiB for a
# vocabulary of 49,152, and 3.43 GiB for one of 262,144. Of models between them nothing was measured.
CPU_RUNTIME, CPU_RUNTIME_A_TOKEN = 1.26 * GIB, 8.7 * 1024


@dataclass(frozen=True)
class Settings:
    """The settings of vLLM on which its KV cache depends; 0 stands for the model's or vLLM's own.

    Args:
        max_model_len: tokens of the longest request; 0 is what the model was trained for.
        block_size: tokens a block.
        dtype: number format of the cache (``auto`` is that of the weights; ``fp8`` where the cache is quantised).
        max_num_batched_tokens: tokens computed in one step, which a window's layers hold besides the window.
        tensor_parallel_size: GPUs that share each layer's KV heads.
        steps_in_flight: steps under way at once: 2 with asynchronous scheduling, as on a GPU; 1 on a CPU.

    Raises:
        SettingsError: a number below 1, or an unknown number format.
    """

    max_model_len: int = 0
    block_size: int = GPU_BLOCK
    dtype: str = "auto"
    max_num_batched_tokens: int = 2048
    tensor_parallel_size: int = 1
    steps_in_flight: int = 2

    def __post_init__(self) -> None:
        for name in ("block_size", "max_num_batched_tokens", "tensor_parallel_size", "steps_in_flight"):
            check_whole(name, getattr(self, name), 1)
        check_choice("dtype", self.dtype, ("auto", *BYTES))


@dataclass(frozen=True)
class Group:
    """Layers that share a block table: how many of them, and the window they look back through (0: none)."""

    layers: int
    window: int


@dataclass(frozen=True)
class Cache:
    """vLLM's KV cache.

    Args:
        block_bytes: bytes of a block, on each GPU.
        blocks: how many there are.
        blocks_a_request: how many a request of the greatest length takes.
        tokens: what vLLM prints as the size of its cache: the greatest length times the requests of it that fit.
        whole_tokens: how many it holds if every layer keeps all of them, which vLLM of 2025 printed.
    """

    block_bytes: int
    blocks: int
    blocks_a_request: int
    tokens: int
    whole_tokens: int

    @property
    def concurrency(self) -> float:
        """How many requests of the greatest length fit at once."""
        return self.blocks / self.blocks_a_request


def groups(model: Model) -> tuple[Group, ...] | None:
    """How vLLM deals the layers into groups; None where the layers are not known, or not of one size."""
    layers = model.layers
    if not layers or model.has_state or len({(layer.keys, layer.values) for layer in layers}) > 1:
        return None
    kinds = Counter(layer.window for layer in layers)
    fewest, most = min(kinds.values()), max(kinds.values())
    size = most if most < NEARLY_EQUAL * fewest else fewest
    return tuple(Group(size, window) for window, count in kinds.items() for _group in range(-(-count // size)))


def cache(model: Model, kv_cache_memory: int, **settings: Any) -> Cache | None:
    """The blocks that ``kv_cache_memory`` bytes on each GPU make; None where the model's layers are not known.

    Args:
        model: the model.
        kv_cache_memory: bytes of KV cache on each GPU.
        settings: see ``Settings``.
    """
    chosen = Settings(**settings)
    dealt, size = groups(model), _block_bytes(model, chosen)
    if dealt is None or size is None:
        return None
    length = chosen.max_model_len or model.context_length
    blocks, a_request = kv_cache_memory // size, sum(_blocks(group, length, chosen) for group in dealt)
    tokens = int(blocks / a_request * length) if a_request else 0
    return Cache(size, blocks, a_request, tokens, blocks // len(dealt) * chosen.block_size)


def _block_bytes(model: Model, settings: Settings) -> int | None:
    dealt = groups(model)
    number = BYTES.get(AUTO.get(model.dtype, model.dtype) if settings.dtype == "auto" else settings.dtype)
    if dealt is None or number is None or not model.layers:
        return None
    return dealt[0].layers * settings.block_size * number * _numbers_a_token(model, settings)


def _numbers_a_token(model: Model, settings: Settings) -> int:
    """Numbers that a token takes of a layer on one GPU; a compressed vector is on each of them whole."""
    layer = (model.layers or ())[0]
    return (layer.keys + layer.values) // (model.shards(settings.tensor_parallel_size) if layer.values else 1)


def _blocks(group: Group, length: int, settings: Settings) -> int:
    """Blocks that a request of ``length`` tokens takes of a group at most."""
    if not group.window:
        return -(-length // settings.block_size)
    held = min(group.window - 1 + settings.steps_in_flight * settings.max_num_batched_tokens, length)
    return -(-held // settings.block_size) + 1  # a window need not begin where a block does


def _weights(model: Model, dtype: str) -> int | None:
    """Bytes of the weights once they are loaded; those of the files where a number format is not known."""
    if model.weights is None:
        return None
    stored = BYTES.get(model.dtype)
    loaded = BYTES.get(AUTO.get(model.dtype, model.dtype) if dtype in ("auto", "fp8") else dtype)
    return model.weights.total * loaded // stored if stored and loaded else model.weights.total


def longest_request(model: Model, kv_cache_memory: int, **settings: Any) -> int | None:
    """The largest ``max_model_len`` that ``kv_cache_memory`` bytes allow; 0 if none, None where that is not known.

    vLLM keeps one block for itself.
    """
    chosen = Settings(**settings)
    dealt, size = groups(model), _block_bytes(model, chosen)
    if dealt is None or size is None:
        return None
    blocks = kv_cache_memory // size - 1
    most = blocks * chosen.block_size
    return largest(lambda length: sum(_blocks(group, length, chosen) for group in dealt) <= blocks, max(most, 0))


def memory_for(model: Model, sequences: int, length: int, **settings: Any) -> int | None:
    """Bytes of KV cache on each GPU with which ``sequences`` requests of ``length`` tokens run at once."""
    chosen = Settings(**settings)
    dealt, size = groups(model), _block_bytes(model, chosen)
    if dealt is None or size is None:
        return None
    return size * (sequences * sum(_blocks(group, length, chosen) for group in dealt) + 1)


def most_sequences(model: Model, kv_cache_memory: int, *, each: int, **settings: Any) -> int | None:
    """The most requests of ``each`` tokens that run at once; None where that is not known."""
    one, two = (memory_for(model, sequences, each, **settings) for sequences in (1, 2))
    if one is None or two is None:
        return None
    return max(0, (kv_cache_memory - one) // (two - one) + 1)


def estimate(model: Model, kv_cache_memory: int, *, dtype: str = "auto") -> Estimate:
    """The memory of vLLM's CPU build: what it reserves for the cache is what it was told to, whatever is used of it.

    Args:
        model: the model.
        kv_cache_memory: bytes of KV cache.
        dtype: number format in which the weights are loaded, whatever that of their files is.
    """
    weights = _weights(model, dtype)
    return Estimate(
        ENGINE,
        model.name,
        (
            Part("weights", weights, "unknown" if weights is None else "header"),
            Part("kv_cache", kv_cache_memory, "formula"),
            Part("runtime", round(CPU_RUNTIME + CPU_RUNTIME_A_TOKEN * model.vocabulary), "fitted"),
        ),
    )
