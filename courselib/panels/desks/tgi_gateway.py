"""The desk's knowledge of the gateway: TGI's limits, llama.cpp's engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from courselib.engines.launch import make_settings
from courselib.engines.tgi_gateway import ENGINE, TgiGatewaySettings
from courselib.i18n import _
from courselib.models import gguf_header, locate
from courselib.panels.desks.base import WIDER, EngineDesk, Preview, choice, key_note, model_field

EXAMPLE_PORT = 8080
TOKENS = (256, 512, 1024, 2048, 4096, 8192)
FEW = (1, 2, 4, 8, 16)
MANY = (1, 4, 16, 64, 128, 256)


class TgiGatewayDesk(EngineDesk):
    """The gateway: the command's flags are TGI's."""

    engine = ENGINE
    style = WIDER

    def fields(self, settings: TgiGatewaySettings) -> dict[str, widgets.Widget]:
        """A control for each of TGI's limits."""
        return {
            "model": model_field(settings, WIDER),
            "context": choice(settings, "context", TOKENS, WIDER),
            "max_total_tokens": choice(settings, "max_total_tokens", TOKENS, WIDER, unset=_("context")),
            "max_input_tokens": choice(
                settings, "max_input_tokens", [n - 1 for n in TOKENS], WIDER, unset=_("one less than that")
            ),
            "max_batch_size": choice(settings, "max_batch_size", FEW, WIDER),
            "max_concurrent_requests": choice(settings, "max_concurrent_requests", MANY, WIDER),
            "max_best_of": choice(settings, "max_best_of", FEW, WIDER),
            "max_stop_sequences": choice(settings, "max_stop_sequences", FEW, WIDER),
            "max_top_n_tokens": choice(settings, "max_top_n_tokens", (0, 1, 2, 5, 10), WIDER),
        }

    def preview(self, values: Mapping[str, Any]) -> Preview:
        """The command, and the weights by the file's header."""
        settings = make_settings(ENGINE, dict(values))
        assert isinstance(settings, TgiGatewaySettings)
        file, name = locate(settings.model), Path(settings.model).name
        shown = dataclasses.replace(settings, model=str(file), served_model_name=settings.served_model_name or name)
        return Preview(
            command=ENGINE.command(shown, port=EXAMPLE_PORT, key="").line(),
            model=name,
            predicted={"weights": gguf_header(file).weights_bytes},
            notes=[key_note("API_KEY")],
        )


DESK = TgiGatewayDesk()
