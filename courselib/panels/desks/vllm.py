"""The desk's knowledge of vLLM's server."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from courselib.engines import vllm_checks, vllm_environment, vllm_machine
from courselib.engines.launch import make_settings
from courselib.engines.vllm import ENGINE
from courselib.engines.vllm_settings import DTYPES, PreparedVllm, VllmSettings
from courselib.environment import gpus
from courselib.errors import ModelError
from courselib.i18n import _
from courselib.models import gguf_header, locate
from courselib.panels.desks.base import WIDER, EngineDesk, Preview, check, choice, common, key_note, model_field

EXAMPLE_PORT = 8000
MIB = 1 << 20
LENGTHS = (256, 512, 1024, 2048, 4096, 8192)
MEMORIES = [(f"{mib} MiB", mib * MIB) for mib in (64, 128, 256, 512, 1024, 2048, 4096)]
SEQUENCES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
BATCHED = (256, 512, 1024, 2048, 4096, 8192)
BLOCKS = (16, 32, 64, 128)


class VllmDesk(EngineDesk):
    """vLLM: what is left open is chosen for this machine, and the KV cache's tokens follow from its bytes."""

    engine = ENGINE
    style = WIDER
    gpu_only = ("gpu_memory_utilization",)

    def fields(self, settings: VllmSettings) -> dict[str, widgets.Widget]:
        """A control for each setting."""
        chosen, own = _("chosen for this machine"), _("vLLM's own")
        utilization = settings.gpu_memory_utilization
        return {
            "model": model_field(settings, WIDER),
            "max_model_len": choice(settings, "max_model_len", LENGTHS, WIDER, unset=_("the model's own")),
            "kv_cache_memory": choice(settings, "kv_cache_memory", MEMORIES, WIDER, unset=chosen),
            "gpu_memory_utilization": widgets.BoundedFloatText(
                value=0.92 if utilization is None else utilization,
                min=0.05, max=1, step=0.01, **common("gpu_memory_utilization", WIDER),
            ),
            "max_num_seqs": choice(settings, "max_num_seqs", SEQUENCES, WIDER, unset=own),
            "max_num_batched_tokens": choice(settings, "max_num_batched_tokens", BATCHED, WIDER, unset=own),
            "block_size": choice(settings, "block_size", BLOCKS, WIDER, unset=own),
            "dtype": choice(settings, "dtype", DTYPES, WIDER),
            "tensor_parallel_size": choice(
                settings, "tensor_parallel_size", range(1, max(1, len(gpus())) + 1), WIDER
            ),
            "enforce_eager": choice(settings, "enforce_eager", [("yes", True), ("no", False)], WIDER, unset=chosen),
            "enable_prefix_caching": check(settings, "enable_prefix_caching", WIDER),
        }  # fmt: skip

    def preview(self, values: Mapping[str, Any]) -> Preview:
        """The command, what was chosen for this machine, and how many tokens the KV cache will hold."""
        settings = make_settings(ENGINE, dict(values))
        assert isinstance(settings, VllmSettings)
        found = vllm_environment.find(settings.python)
        machine = vllm_machine.look(found)
        ready = vllm_machine.choose(settings, machine)
        vllm_checks.check_machine(ready, machine)
        name = Path(settings.model).name
        shown = dataclasses.replace(ready, served_model_name=ready.served_names or (name,), python=found.python)
        return Preview(
            command=ENGINE.command(shown, port=EXAMPLE_PORT, key="").line(),
            model=name,
            predicted=_predicted(ready, on_cpu=not machine.gpus),
            notes=[
                *ready.notes,
                _("At the start the model's name becomes the folder that vLLM reads."),
                key_note("VLLM_API_KEY"),
            ],
        )


def _predicted(settings: PreparedVllm, *, on_cpu: bool) -> dict[str, int]:
    """How many tokens the KV cache holds in whole blocks, where its bytes are known and the model's file is here."""
    if settings.kv_cache_memory is None:
        return {}
    block = settings.block_size or (vllm_checks.CPU_DEFAULT_BLOCK if on_cpu else vllm_checks.GPU_BLOCK)
    try:
        header = gguf_header(locate(settings.model))
    except ModelError:
        return {}
    config = {
        "num_hidden_layers": header.layers, "num_key_value_heads": header.kv_heads, "head_dim": header.key_length
    }  # fmt: skip
    per_token = vllm_checks.kv_bytes_per_token(config, settings.dtype)
    return {"kv_cache_tokens": settings.kv_cache_memory // (block * per_token) * block} if per_token else {}


DESK = VllmDesk()
