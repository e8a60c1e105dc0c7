"""The memory that llama.cpp's server takes, by its own rules, and what fits into a given amount of it.

    from courselib import memory, models

    model = memory.from_gguf(models.gguf_header(models.resolve("smollm2-135m")))
    print(memory.llamacpp.estimate(model, context=8192, cache_type_k="q8_0").as_table())
    memory.llamacpp.longest_context(model, 512 * memory.MIB, parallel=4)

Settings have the names of ``courselib.launch("llama.cpp", …)``; llama-server's own default, where
``--parallel`` is not given, is four slots and ``kv_unified``.
Source: llama.cpp b11549, files named below; what is fitted is in ``llamacpp_fitted``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from courselib.checks import check_choice, check_whole
from courselib.memory.estimate import Estimate, Part
from courselib.memory.inverse import largest
from courselib.memory.llamacpp_fitted import compute_bytes, runtime_bytes
from courselib.memory.model import Layer, Model
from courselib.memory.units import MIB

ENGINE = "llama.cpp"
# Bytes a number takes: ggml's blocks of 32 values with their scales (ggml-common.h).
BYTES_PER_VALUE = {
    "f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q5_1": 24 / 32, "q5_0": 22 / 32,
    "q4_1": 20 / 32, "q4_0": 18 / 32, "iq4_nl": 18 / 32,
}  # fmt: skip
# The engine rounds each sequence's cells up to this many (llama-context.cpp).
CELLS = 256
STATE_BYTES = 4
LOGIT_BYTES = 4
MOST_SEQUENCES = 256  # LLAMA_MAX_SEQ
# llama-server's own default of --cache-ram (common/common.h).
CACHE_RAM_MIB = 8192
# Types whose matrices are copied into another order for a processor with AVX2 (ggml-cpu/repack.cpp); others have more.
REPACKED = ("q4_0", "q4_K", "iq4_nl", "mxfp4")


@dataclass(frozen=True)
class Settings:
    """The settings of llama.cpp's server on which memory depends, with llama.cpp's own defaults but for the slots.

    Args:
        context: tokens of KV cache, shared out to the slots.
        parallel: slots.
        kv_unified: whether all slots share one pool of cells.
        batch, ubatch: tokens submitted and computed at once.
        cache_type_k, cache_type_v: number formats of the KV cache (the keys of ``BYTES_PER_VALUE``).
        flash_attn: ``on``, ``off``, or ``auto``, which is on wherever the engine can.
        gpu_layers: layers on the GPU, the output counted as one; None for all.
        repacked: types of weights of which the CPU's backend makes a rearranged copy.
        cache_ram: MiB of RAM for the prompts of earlier requests, which fill while it serves; 0 keeps none.

    Raises:
        SettingsError: a number that is too small, or a number format that the cache cannot have.
    """

    context: int = 4096
    parallel: int = 1
    kv_unified: bool = False
    batch: int = 2048
    ubatch: int = 512
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    flash_attn: str = "auto"
    gpu_layers: int | None = 0
    repacked: tuple[str, ...] = REPACKED
    cache_ram: int = CACHE_RAM_MIB

    def __post_init__(self) -> None:
        check_whole("cache_ram", self.cache_ram, 0)
        for name in ("context", "parallel", "batch", "ubatch"):
            check_whole(name, getattr(self, name), 1)
        for name in ("cache_type_k", "cache_type_v"):
            check_choice(name, getattr(self, name), tuple(BYTES_PER_VALUE))

    @classmethod
    def of(cls, other: object) -> Settings:
        """The same-named attributes of ``other``, such as a ``LlamaCppSettings``."""
        names = [field.name for field in fields(cls) if hasattr(other, field.name)]
        return cls(**{name: getattr(other, name) for name in names})

    @property
    def at_once(self) -> int:
        """Tokens computed at once: no more than the context has."""
        return min(self.ubatch, self.batch, self.context)

    @property
    def streams(self) -> int:
        """Caches side by side: one for each slot, or one for all."""
        return 1 if self.kv_unified else self.parallel

    @property
    def cells(self) -> int:
        """Cells of one stream for layers that see the whole context: rounded before it is shared out, and after."""
        return rounded(rounded(self.context) // self.streams)

    def window_cells(self, window: int) -> int:
        """Cells of one stream for layers that see ``window`` tokens (llama-kv-cache-iswa.cpp)."""
        sequences = self.parallel if self.kv_unified else 1
        return rounded(min(self.cells, window * sequences + self.at_once))


def rounded(tokens: int) -> int:
    """Tokens rounded up to whole rows of cells."""
    return -(-tokens // CELLS) * CELLS


def kv_cache(model: Model, **settings: Any) -> int | None:
    """Bytes of keys and values; None where the model's layers are not known.

    A cell holds a key and a value for each layer and KV head. Without FlashAttention the values lie the other way
    round, each layer's in rows of the widest (llama-kv-cache.cpp, llama-kv-cache-iswa.cpp). Agrees with the engine's
    log lines to their last digit.
    """
    return None if model.layers is None else sum(kv_by_layer(model.layers, Settings(**settings)))


def recurrent_state(model: Model, **settings: Any) -> int | None:
    """Bytes of recurrent layers' states, for all slots (llama-memory-recurrent.cpp)."""
    return None if model.layers is None else sum(_state_by_layer(model.layers, Settings(**settings)))


def kv_by_layer(layers: Sequence[Layer], settings: Settings) -> list[int]:
    """Bytes of keys and values of each layer."""
    widest = max((layer.values for layer in layers), default=0) if settings.flash_attn == "off" else 0
    return [_kv_of_layer(layer, settings, widest) for layer in layers]


def _kv_of_layer(layer: Layer, settings: Settings, widest: int) -> int:
    cells = settings.window_cells(layer.window) if layer.window else settings.cells
    values = max(layer.values, widest) if layer.keys else layer.values
    key_bytes = layer.keys * BYTES_PER_VALUE[settings.cache_type_k]
    value_bytes = values * BYTES_PER_VALUE[settings.cache_type_v]
    return round(settings.streams * cells * (key_bytes + value_bytes))


def _state_by_layer(layers: Sequence[Layer], settings: Settings) -> list[int]:
    return [settings.parallel * layer.state * STATE_BYTES for layer in layers]


def estimate(model: Model, **settings: Any) -> Estimate:
    """The memory llama.cpp will take with these settings (see ``Settings``).

    ``on_gpu`` of a part is what goes to the GPU: its layers are the last ones, the output is the first to go there, and
    the table of embeddings stays in RAM (llama-model.cpp, load_tensors). Computed by the source; no GPU was at hand.
    The GPU's driver takes a few hundred MiB more.

    ``on_top`` is what the server's cache of earlier prompts may grow to: nothing of it is taken at the start, and the
    oldest prompts leave it once it is full (tools/server/server-task.cpp, server_prompt_cache::update).
    """
    chosen = Settings(**settings)
    first = first_on_gpu(model, chosen)
    parts = [*_weight_parts(model, chosen, first)]
    if model.layers is None:
        parts += [Part("kv_cache", None, "unknown"), Part("recurrent", None, "unknown")]
    else:
        cache, states = kv_by_layer(model.layers, chosen), _state_by_layer(model.layers, chosen)
        parts.append(Part("kv_cache", sum(cache), "formula", sum(cache[first:])))
        if model.has_state:
            parts.append(Part("recurrent", sum(states), "formula", sum(states[first:])))
    output = chosen.parallel * model.vocabulary * LOGIT_BYTES
    compute = compute_bytes(model, chosen)
    parts += [
        Part("compute", compute, "fitted" if compute is not None else "unknown", (compute or 0) * _uses_gpu(chosen)),
        Part("output", output, "formula"),
        Part("runtime", runtime_bytes(model), "fitted"),
    ]
    return Estimate(ENGINE, model.name, tuple(parts), on_top=chosen.cache_ram * MIB)


def _uses_gpu(settings: Settings) -> bool:
    return settings.gpu_layers != 0


def first_on_gpu(model: Model, settings: Settings) -> int:
    """The first layer on the GPU, from 0; the number of layers where none is there (llama-model.cpp, load_tensors)."""
    layers = len(model.layers or (model.weights.layers if model.weights else ()))
    return 0 if settings.gpu_layers is None else min(layers, max(0, layers + 1 - settings.gpu_layers))


def _weight_parts(model: Model, settings: Settings, first: int) -> list[Part]:
    weights = model.weights
    if weights is None:
        return [Part("weights", None, "unknown")]
    if not _uses_gpu(settings):
        copies = sum(weights.matrices.get(kind, 0) for kind in settings.repacked)
        extra = [Part("repacked", copies, "header")] if copies else []
        return [Part("weights", weights.total, "header"), *extra]
    # A model without an output matrix of its own has its table of embeddings once more on the GPU.
    again = weights.embedding if weights.tied else 0
    on_gpu = sum(weights.layers[first:]) + weights.output + again
    return [Part("weights", weights.total + again, "header", on_gpu)]


def longest_context(model: Model, budget: int, *, most: int = 1 << 20, **settings: Any) -> int | None:
    """The longest ``context`` whose KV cache and states fit into ``budget`` bytes, in whole rows of cells; 0 if none.

    Args:
        model: the model.
        budget: bytes for the cache alone.
        most: the longest that is tried.
        settings: the others; ``context`` is the answer, so it is not taken.

    Returns:
        Tokens for all slots together; None where the model's layers are not known.
    """
    if model.layers is None:
        return None
    chosen = Settings(**settings)
    step = CELLS * chosen.streams
    return step * largest(lambda n: cache_bytes(model, replace(chosen, context=n * step)) <= budget, most // step)


def most_sequences(model: Model, budget: int, *, each: int, **settings: Any) -> int | None:
    """The most slots of ``each`` tokens whose caches and states fit into ``budget`` bytes; None as above."""
    if model.layers is None:
        return None
    chosen = Settings(**settings)
    return largest(
        lambda n: cache_bytes(model, replace(chosen, parallel=n, context=n * each)) <= budget, MOST_SEQUENCES
    )


def most_gpu_layers(model: Model, budget: int, **settings: Any) -> int | None:
    """The most ``gpu_layers`` whose weights, caches and compute buffer fit into ``budget`` bytes; None as above."""
    if model.layers is None or model.weights is None:
        return None
    return largest(lambda n: estimate(model, **{**settings, "gpu_layers": n}).on_gpu <= budget, len(model.layers) + 1)


def cache_bytes(model: Model, settings: Settings) -> int:
    """Bytes of KV cache and recurrent states together; the model's layers are known."""
    layers = model.layers or ()
    return sum(kv_by_layer(layers, settings)) + sum(_state_by_layer(layers, settings))
