"""The Deploy panel's knowledge of vLLM's server."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from courselib import memory
from courselib.engines.launcher import make_settings
from courselib.engines.vllm import checks, environment, machine
from courselib.engines.vllm.engine import ENGINE
from courselib.engines.vllm.settings import DTYPES, PreparedVllm, VllmSettings
from courselib.errors import ModelError
from courselib.i18n import N_, _
from courselib.machine import gpus
from courselib.models import gguf_header, locate
from courselib.panels.desks.base import EngineDesk, Preview, check, choice, key_note, model_field, setting_help
from courselib.panels.fields import Field, Number

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
    first = ("model", "max_model_len")
    label_width = "185px"
    gpu_only = ("gpu_memory_utilization",)

    def fields(self, settings: VllmSettings) -> dict[str, Field]:
        """An input for each setting."""
        chosen, own = N_("chosen for this machine"), N_("vLLM's own")
        utilization = settings.gpu_memory_utilization
        return {
            "model": model_field(settings),
            "max_model_len": choice(settings, "max_model_len", LENGTHS, unset=N_("the model's own")),
            "kv_cache_memory": choice(settings, "kv_cache_memory", MEMORIES, unset=chosen),
            "gpu_memory_utilization": Number(
                0.92 if utilization is None else utilization,
                low=0.05, high=1, step=0.01, help=setting_help(settings, "gpu_memory_utilization"),
            ),
            "max_num_seqs": choice(settings, "max_num_seqs", SEQUENCES, unset=own),
            "max_num_batched_tokens": choice(settings, "max_num_batched_tokens", BATCHED, unset=own),
            "block_size": choice(settings, "block_size", BLOCKS, unset=own),
            "dtype": choice(settings, "dtype", DTYPES),
            "tensor_parallel_size": choice(
                settings, "tensor_parallel_size", range(1, max(1, len(gpus())) + 1)
            ),
            "enforce_eager": choice(settings, "enforce_eager", [(N_("yes"), True), (N_("no"), False)], unset=chosen),
            "enable_prefix_caching": check(settings, "enable_prefix_caching"),
        }  # fmt: skip

    def preview(self, values: Mapping[str, Any]) -> Preview:
        """The command, what was chosen for this machine, and how many tokens the KV cache will hold."""
        settings = make_settings(ENGINE, dict(values))
        assert isinstance(settings, VllmSettings)
        found = environment.find(settings.python)
        here = machine.look(found)
        ready = machine.choose(settings, here)
        checks.check_machine(ready, here)
        name = Path(settings.model).name
        shown = dataclasses.replace(ready, served_model_name=ready.served_names or (name,), python=found.python)
        return Preview(
            command=ENGINE.command(shown, port=EXAMPLE_PORT, key="").line(),
            model=name,
            predicted=_predicted(ready, on_cpu=not here.gpus),
            notes=[
                *ready.notes,
                _("At the start the model's name becomes the folder that vLLM reads."),
                key_note("VLLM_API_KEY"),
            ],
        )


def _predicted(settings: PreparedVllm, *, on_cpu: bool) -> dict[str, int]:
    """How many tokens the KV cache holds, where its bytes are known and the model's file is here."""
    if settings.kv_cache_memory is None:
        return {}
    try:
        model = memory.from_gguf(gguf_header(locate(settings.model)))
    except ModelError:
        return {}
    # What llama.cpp makes of a file need not be what vLLM makes of the model, unless all layers are alike.
    if model.has_windows or model.has_state:
        return {}
    options = {"max_model_len": settings.max_model_len or 0, **checks.cache_options(settings, on_cpu=on_cpu)}
    cache = memory.vllm.cache(dataclasses.replace(model, dtype="bfloat16"), settings.kv_cache_memory, **options)
    return {} if cache is None else {"kv_cache_tokens": cache.tokens}


DESK = VllmDesk()
