"""Layers divided between a GPU and the CPU: the bytes that a decode step reads on each side, and the time that takes.

    model = memory.known_model("meta-llama/Llama-3.1-8B-Instruct")
    step = memory.offload.step(model, gpu_layers=20, context=4096)
    1 / step.seconds(gpu=320e9, cpu=80e9)  # tokens a second of one sequence, at most

A decode step reads every weight once, and the keys and values of all tokens in the context, so it takes at least as
long as their bytes take to arrive (Pope et al. 2022, arXiv:2211.05102: memory time). Layers are computed
one after another, each where it is stored (llama.cpp b11549, ggml-backend.cpp: the scheduler runs its splits in turn),
so the times of both sides add up. This is a lower bound of the time: arithmetic, and the vector that crosses between
the sides, are left out. Reading a prompt is bound by arithmetic, and nothing here holds for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from courselib.memory import llamacpp
from courselib.memory.model import Model


@dataclass(frozen=True)
class Step:
    """What one decode step reads.

    Args:
        gpu: bytes from the GPU's memory.
        cpu: bytes from RAM.
    """

    gpu: int
    cpu: int

    def seconds(self, *, gpu: float, cpu: float) -> float:
        """The time of the step, at least.

        Args:
            gpu: bytes a second that the GPU's memory delivers.
            cpu: bytes a second that RAM delivers.
        """
        return self.gpu / gpu + self.cpu / cpu


def step(model: Model, **settings: Any) -> Step | None:
    """What a decode step of llama.cpp reads with these settings; None where layers or weights are not known.

    Each of ``parallel`` sequences computes one token in the step, and their contexts are full: ``context`` tokens in
    all, in whole rows of cells, as the engine reads them (llama-kv-cache.cpp, get_n_kv). Of a mixture of experts every
    expert is counted, though a token uses a few. The table of embeddings is left out: a token needs one row of it.

    Args:
        model: the model.
        settings: see ``llamacpp.Settings``; ``gpu_layers`` counts the output as one layer, which goes first.

    Raises:
        SettingsError: as ``llamacpp.Settings``.
    """
    chosen = llamacpp.Settings(**settings)
    if model.layers is None or model.weights is None:
        return None
    first = llamacpp.first_on_gpu(model, chosen)
    cache = llamacpp.kv_by_layer(model.layers, chosen)
    layers = [weights + kept for weights, kept in zip(model.weights.layers, cache, strict=True)]
    output = model.weights.embedding if model.weights.tied else model.weights.output
    outputs = (0, output) if chosen.gpu_layers == 0 else (output, 0)
    return Step(sum(layers[first:]) + outputs[0], sum(layers[:first]) + outputs[1])
