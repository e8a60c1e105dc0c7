"""The desk's knowledge of llama.cpp's server."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from courselib.engines.launch import make_settings
from courselib.engines.llamacpp import CACHE_TYPES, ENGINE, LlamaCppSettings, default_threads, kv_cache_bytes
from courselib.environment import cores
from courselib.models import gguf_header, locate
from courselib.panels.desks.base import EngineDesk, Preview, check, choice, key_note, model_field, slider

EXAMPLE_PORT = 8080
CONTEXTS = (256, 512, 1024, 2048, 4096, 8192)
BATCHES = (32, 64, 128, 256, 512, 1024, 2048)


class LlamaCppDesk(EngineDesk):
    """llama.cpp: what it needs is known from the file's header."""

    engine = ENGINE
    gpu_only = ("gpu_layers",)

    def fields(self, settings: LlamaCppSettings) -> dict[str, widgets.Widget]:
        """A control for each setting."""
        return {
            "model": model_field(settings),
            "context": choice(settings, "context", CONTEXTS),
            "parallel": slider(settings, "parallel", 1, 16),
            "threads": slider(settings, "threads", 1, max(2, 2 * cores()), unset=default_threads()),
            "batch": choice(settings, "batch", BATCHES),
            "ubatch": choice(settings, "ubatch", BATCHES),
            "gpu_layers": slider(settings, "gpu_layers", 0, 99),
            "cache_type_k": choice(settings, "cache_type_k", CACHE_TYPES),
            "cache_type_v": choice(settings, "cache_type_v", CACHE_TYPES),
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
        shown = dataclasses.replace(settings, model=str(file), alias=name)
        header = gguf_header(file)
        return Preview(
            command=ENGINE.command(shown, port=EXAMPLE_PORT, key="").line(),
            model=name,
            predicted={"weights": header.weights_bytes, "kv_cache": kv_cache_bytes(settings, header)},
            notes=[key_note("LLAMA_API_KEY")],
        )


DESK = LlamaCppDesk()
