"""What of llama.cpp's memory is fitted to measurements: its compute buffers, and the program itself.

A graph's buffer is the most that its intermediate results take at one time (ggml-alloc.c). The numbers of rows below
were read off the engine's own log (``sched_reserve: … compute buffer size``) over shapes and settings. The measurements
are ``fitted/llamacpp.csv``, made by ``python -m benchmarks.memory --fit``, and the tests hold the formula against them.
Measured: llama.cpp b11549 on a CPU, models with attention in every layer; a model with recurrent layers has no figure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from courselib.memory.model import Model
from courselib.memory.units import MIB

if TYPE_CHECKING:
    from courselib.memory.llamacpp import Settings

FLOAT = 4
# Numbers a token needs while a feed-forward network, and while attention, is computed: multiples of the widths. A
# network of at most twice the vectors' width reuses the place of two of them.
ROWS_BESIDE_NETWORK, ROWS_IN_NETWORK = 5, 3
NARROW, ROWS_BESIDE_NARROW = 2, 3
ROWS_OF_QUERIES, ROWS_OF_KEYS = 5, 2
# Bytes of the resident program after its first token, without weights, cache and buffers: by least squares.
PROGRAM = round(32.8 * MIB)
BYTES_PER_TOKEN, BYTES_PER_MERGE = 252, 289


def compute_bytes(model: Model, settings: Settings) -> int | None:
    """Bytes of llama.cpp's compute buffer; None where the model's layers are not known, or some are recurrent."""
    if model.layers is None or model.has_state:
        return None
    tokens = settings.at_once
    network = tokens * ROWS_IN_NETWORK * model.feed_forward
    logits = settings.parallel * model.vocabulary
    narrow = model.feed_forward <= NARROW * model.embedding
    beside = ROWS_BESIDE_NARROW if narrow else ROWS_BESIDE_NETWORK
    after_attention = tokens * beside * model.embedding + max(network, logits)
    return _masks(model, settings) + FLOAT * max(after_attention, _attention(model, settings))


def _attention(model: Model, settings: Settings) -> int:
    keys = max((layer.keys for layer in model.layers or ()), default=0)
    numbers = model.embedding + ROWS_OF_QUERIES * model.queries + ROWS_OF_KEYS * keys
    if settings.flash_attn == "off":  # all scores at once, which FlashAttention never has
        numbers += model.heads * settings.cells
    return settings.at_once * numbers


def _masks(model: Model, settings: Settings) -> int:
    """Which token sees which cell: a 16-bit number each with FlashAttention, else 32 bits; one mask for each window."""
    windows = {layer.window for layer in model.layers or () if layer.keys}
    cells = sum(settings.window_cells(window) if window else settings.cells for window in windows)
    return settings.at_once * cells * (FLOAT if settings.flash_attn == "off" else FLOAT // 2)


def runtime_bytes(model: Model) -> int:
    """Bytes of the program and its tokenizer, resident once the server is ready."""
    return PROGRAM + BYTES_PER_TOKEN * model.vocabulary + BYTES_PER_MERGE * model.merges
