"""The desk's knowledge of TGI itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from courselib.engines.launch import make_settings
from courselib.engines.tgi import ENGINE
from courselib.engines.tgi_rules import DTYPES, QUANTIZATIONS, ignored
from courselib.engines.tgi_settings import TgiSettings
from courselib.i18n import _
from courselib.panels.desks.base import WIDER, EngineDesk, Preview, check, choice, key_note, model_field

EXAMPLE_PORT = 8080
TOKENS = (512, 1024, 2048, 4096, 8192, 16384, 32768)


class TgiDesk(EngineDesk):
    """TGI: its rules are checked as settings change; a start needs Docker or its launcher."""

    engine = ENGINE
    style = WIDER
    gpu_only = ("quantize",)

    def fields(self, settings: TgiSettings) -> dict[str, widgets.Widget]:
        """A control for each limit, and for what decides about memory."""
        own = _("TGI's own")

        def tokens(name: str, options: Any = TOKENS) -> widgets.Dropdown:
            return choice(settings, name, options, WIDER, unset=own)

        return {
            "model": model_field(settings, WIDER),
            "max_input_tokens": tokens("max_input_tokens", [n - 1 for n in TOKENS]),
            "max_total_tokens": tokens("max_total_tokens"),
            "max_batch_prefill_tokens": tokens("max_batch_prefill_tokens"),
            "max_batch_total_tokens": tokens("max_batch_total_tokens"),
            "waiting_served_ratio": tokens("waiting_served_ratio", (0.3, 1.2)),
            "prefill_chunking": check(settings, "prefill_chunking", WIDER),
            "cuda_memory_fraction": tokens("cuda_memory_fraction", (0.5, 0.8, 0.9, 1.0)),
            "dtype": tokens("dtype", DTYPES),
            "quantize": choice(settings, "quantize", QUANTIZATIONS, WIDER, unset=_("none")),
            "shm_size": choice(settings, "shm_size", ("1g", "64g"), WIDER),
        }

    def preview(self, values: Mapping[str, Any]) -> Preview:
        """The command for Docker or the launcher, and which settings TGI will take and ignore."""
        settings = make_settings(ENGINE, dict(values))
        assert isinstance(settings, TgiSettings)
        ready = ENGINE.for_this_machine(settings)
        return Preview(
            command=ENGINE.command(ready, port=EXAMPLE_PORT, key="").line(),
            model=Path(settings.model).name,
            lost=ignored(ready),
            notes=[key_note("API_KEY")],
        )


DESK = TgiDesk()
