"""The Deploy panel's knowledge of llama.cpp's server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from courselib.engines.base import prepared_as
from courselib.engines.launcher import make_settings
from courselib.engines.llamacpp.checks import kv_cache_bytes
from courselib.engines.llamacpp.engine import ENGINE, default_threads
from courselib.engines.llamacpp.settings import LlamaCppSettings, PreparedLlamaCpp
from courselib.engines.llamacpp.values import CACHE_TYPES
from courselib.i18n import N_
from courselib.machine import apple_gpu, cores
from courselib.memory import from_gguf
from courselib.models import locate, text_model_header
from courselib.panels.desks.base import EngineDesk, Preview, check, choice, key_note, model_field, slider
from courselib.panels.fields import Field

EXAMPLE_PORT = 8080
CONTEXTS = (256, 512, 1024, 2048, 4096, 8192)
LAYERS = (0, 8, 16, 24, 32, 99)
CACHE_RAM = (0, 256, 1024, 8192)
BATCHES = (32, 64, 128, 256, 512, 1024, 2048)


class LlamaCppDesk(EngineDesk):
    """llama.cpp: what it needs is known from the file's header."""

    engine = ENGINE
    gpu_only = ("gpu_layers",)

    def has_gpu(self) -> bool:
        """Apple's GPUs count, too."""
        return super().has_gpu() or apple_gpu() is not None

    def fields(self, settings: LlamaCppSettings) -> dict[str, Field]:
        """An input for each setting."""
        return {
            "model": model_field(settings),
            "context": choice(settings, "context", CONTEXTS),
            "parallel": slider(settings, "parallel", 1, 16),
            "kv_unified": check(settings, "kv_unified"),
            "threads": slider(settings, "threads", 1, max(2, 2 * cores()), unset=default_threads()),
            "batch": choice(settings, "batch", BATCHES),
            "ubatch": choice(settings, "ubatch", BATCHES),
            "gpu_layers": choice(settings, "gpu_layers", LAYERS, unset=N_("what fits on the GPU")),
            "cache_type_k": choice(settings, "cache_type_k", CACHE_TYPES),
            "cache_type_v": choice(settings, "cache_type_v", CACHE_TYPES),
            "cache_ram": choice(settings, "cache_ram", CACHE_RAM),
            "flash_attn": choice(settings, "flash_attn", ("auto", "on", "off")),
            "mlock": check(settings, "mlock"),
            "cont_batching": check(settings, "cont_batching"),
            "metrics": check(settings, "metrics"),
        }

    def preview(self, values: Mapping[str, Any]) -> Preview:
        """The command, and weights and KV cache by formula."""
        settings = make_settings(ENGINE, dict(values))
        assert isinstance(settings, LlamaCppSettings)
        file, name = locate(settings.model), Path(settings.model).name
        shown = prepared_as(PreparedLlamaCpp, settings, model=str(file), alias=name)
        header = text_model_header(file)
        predicted = {"weights": header.weights_bytes, "kv_cache": kv_cache_bytes(settings, from_gguf(header))}
        return Preview(
            command=ENGINE.command(shown, port=EXAMPLE_PORT, key="").line(),
            model=name,
            # What is not known for sure is not shown.
            predicted={name: number for name, number in predicted.items() if number is not None},
            notes=[key_note("LLAMA_API_KEY")],
        )


DESK = LlamaCppDesk()
