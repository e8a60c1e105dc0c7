"""Would a server start in so much memory, and with which setting would it?

Numbers in, numbers out: what a server needs, what of it the system cannot take back, and a setting with its value that
fits. What is advised leaves room for the prediction's own error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from courselib.memory import llamacpp, tgi, vllm
from courselib.memory.estimate import Estimate, Part
from courselib.memory.inverse import largest
from courselib.memory.model import Model
from courselib.memory.units import GIB, MIB

# How far off a prediction may be: the larger of these (benchmarks/results/memory.md).
ERROR_SHARE, ERROR_BYTES = 0.05, 32 * MIB
# What llama.cpp itself leaves free on each GPU (its ``--fit-target``).
LEFT_ON_GPU = GIB
MOST_CONTEXT = 1 << 20


@dataclass(frozen=True)
class Fit:
    """Whether a server fits into memory.

    Args:
        estimate: what it takes, part by part.
        needed: bytes that it uses, all of them in the memory meant.
        held: bytes of these that the system cannot take back. The rest are pages of the model's file: they can be
            dropped and read again, which is slow.
        available: bytes there are.
        setting: the setting to change where it does not fit, or is slow; empty where none helps or none need be.
        value: to which value.
        cause: what is short: ``memory``, or ``cache`` where the memory suffices and one request does not fit into the
            KV cache.
        cache_tokens: tokens that the KV cache holds, where an engine sizes it by bytes.
        on_top: bytes that it may take on top of these in the same memory while it serves; no start fails of them.
    """

    estimate: Estimate
    needed: int
    held: int
    available: int
    setting: str = ""
    value: int = 0
    cause: str = "memory"
    cache_tokens: int | None = None
    on_top: int = 0

    @property
    def starts(self) -> bool:
        """Whether it starts, and is not ended when it computes."""
        return self.cause == "memory" and self.held <= self.available

    @property
    def is_slow(self) -> bool:
        """Whether it starts, and then reads its weights from disk over and over."""
        return self.starts and self.needed > self.available

    @property
    def is_close(self) -> bool:
        """Whether the prediction's own error could turn the answer round."""
        return self.cause == "memory" and abs(self.held - self.available) <= error(self.held)

    @property
    def outgrows(self) -> bool:
        """Whether it starts, and could take more than there is while it serves."""
        return self.starts and self.on_top > 0 and self.needed + self.on_top > self.available

    @property
    def room_on_top(self) -> int:
        """Bytes that are left for ``on_top``."""
        return max(0, self.available - self.needed - error(self.needed))

    @property
    def is_known(self) -> bool:
        """Whether weights and KV cache are known; what an engine computes with need not be."""
        return None not in (self.estimate.weights, self.estimate.kv_cache)


def error(size: int) -> int:
    """Bytes by which a prediction of ``size`` may be off."""
    return max(round(ERROR_SHARE * size), ERROR_BYTES)


def _fits(size: int, available: int) -> bool:
    return size + error(size) <= available


def in_ram(model: Model, available: int, **settings: Any) -> Fit:
    """llama.cpp on a CPU, where weights are pages of the model's file."""
    settings = {**settings, "gpu_layers": 0}

    def fit(context: int) -> Fit:
        estimate = llamacpp.estimate(model, **{**settings, "context": context})
        held = estimate.known - (estimate.weights or 0)
        return Fit(estimate, estimate.known, held, available, on_top=estimate.on_top)

    chosen = llamacpp.Settings(**settings)
    found = fit(chosen.context)
    if found.starts and not found.is_slow:
        return found
    size: Callable[[int], int] = lambda context: fit(context).needed if found.starts else fit(context).held  # noqa: E731
    longest = _longest_context(lambda context: _fits(size(context), available), chosen)
    return replace(found, setting="context", value=longest) if longest else found


def on_gpu(model: Model, each: int, cards: int = 1, **settings: Any) -> Fit:
    """llama.cpp on GPUs of ``each`` bytes, of which it leaves ``LEFT_ON_GPU`` free; layers are dealt out to them."""
    available = max(0, each - LEFT_ON_GPU) * cards

    def size(**changed: Any) -> int:
        return llamacpp.estimate(model, **{**settings, **changed}).on_gpu

    chosen = llamacpp.Settings(**settings)
    estimate = llamacpp.estimate(model, **settings)
    found = Fit(estimate, estimate.on_gpu, estimate.on_gpu, available)
    if found.starts:
        return found
    longest = _longest_context(lambda context: size(context=context) <= available, chosen)
    if longest:
        return replace(found, setting="context", value=longest)
    layers = llamacpp.most_gpu_layers(model, available, **settings)
    return replace(found, setting="gpu_layers", value=layers or 0) if layers is not None else found


def _longest_context(fits: Callable[[int], bool], settings: llamacpp.Settings) -> int:
    """The longest context up to that chosen, in whole rows of cells for each stream; 0 if none."""
    step = llamacpp.CELLS * settings.streams
    most = max(1, min(settings.context, MOST_CONTEXT) // step)
    return step * largest(lambda n: fits(n * step), most)


def vllm_in_ram(model: Model, available: int, kv_cache_memory: int, **settings: Any) -> Fit:
    """On a CPU, vLLM; ``settings`` are those of ``vllm.Settings``."""
    estimate = vllm.estimate(model, kv_cache_memory, dtype=settings.get("dtype", "auto"))
    found = Fit(estimate, estimate.known, estimate.known, available)
    if not found.starts:
        rest = estimate.known - kv_cache_memory
        room = max(0, int((available - rest - error(estimate.known)) // MIB))
        return replace(found, setting="kv_cache_memory", value=room * MIB) if room else found
    return _with_cache(found, model, kv_cache_memory, settings)


def vllm_on_gpu(
    model: Model, each: int, cards: int = 1, *, utilization: float = 0.92, kv_cache_memory: int = 0, **settings: Any
) -> Fit:
    """On GPUs of ``each`` bytes that share each layer, vLLM.

    What a step computes with is measured by vLLM itself when it starts, and not known here: the KV cache is what the
    weights leave of ``utilization``, at most.
    """
    settings = {**settings, "tensor_parallel_size": cards}
    weights = None if model.weights is None else model.weights.total // cards
    available = each if kv_cache_memory else round(each * utilization)
    cache = kv_cache_memory or max(0, available - (weights or 0))
    parts = (
        Part("weights", weights, "unknown" if weights is None else "header", weights or 0),
        Part("kv_cache", cache, "formula", cache),
        Part("compute", None, "start"),
    )
    estimate = Estimate(vllm.ENGINE, model.name, parts)
    needed = (weights or 0) + (kv_cache_memory or 0)
    found = Fit(estimate, max(needed, estimate.known), needed, available)
    return _with_cache(found, model, cache, settings) if found.starts else found


def _with_cache(found: Fit, model: Model, kv_cache_memory: int, settings: dict[str, Any]) -> Fit:
    """The same, with what the cache holds; a request that does not fit into it is refused at the start."""
    cache = vllm.cache(model, kv_cache_memory, **settings)
    length = settings.get("max_model_len") or model.context_length
    needed = vllm.memory_for(model, 1, length, **settings) if length else None
    found = replace(found, cache_tokens=cache.tokens if cache else None)
    if needed is None or needed <= kv_cache_memory:
        return found
    longest = vllm.longest_request(model, kv_cache_memory, **settings) or 0
    return replace(found, cause="cache", setting="max_model_len" if longest else "", value=longest)


def tgi_on_gpu(model: Model, each: int, cards: int = 1, *, max_total_tokens: int, **settings: Any) -> Fit:
    """TGI on GPUs of ``each`` bytes; its warm-up's prefill takes memory as well, which is not known here."""
    settings = {**settings, "num_shard": cards}
    weights = None if model.weights is None else model.weights.total // cards
    free = max(0, each - (weights or 0))
    tokens = tgi.cache_tokens(model, free, **settings)
    cache = None if tokens is None else tokens * (tgi.bytes_per_token(model, **settings) or 0)
    parts = (
        Part("weights", weights, "unknown" if weights is None else "header", weights or 0),
        Part("kv_cache", cache, "unknown" if cache is None else "formula", cache or 0),
        Part("compute", None, "start"),
    )
    estimate = Estimate(tgi.ENGINE, model.name, parts)
    found = Fit(estimate, estimate.known, weights or 0, each, cache_tokens=tokens)
    if found.starts and tokens is not None and tokens < max_total_tokens:
        return replace(found, cause="cache", setting="max_total_tokens" if tokens else "", value=tokens)
    return found
