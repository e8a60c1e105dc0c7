"""The Deploy panel's knowledge of the gateway: TGI's limits, llama.cpp's engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from courselib.engines.base import prepared_as
from courselib.engines.launcher import make_settings
from courselib.engines.tgi_gateway import ENGINE, PreparedTgiGateway, TgiGatewaySettings
from courselib.i18n import N_
from courselib.models import locate, text_model_header
from courselib.panels.desks.base import EngineDesk, Preview, choice, key_note, model_field
from courselib.panels.fields import Field

EXAMPLE_PORT = 8080
TOKENS = (256, 512, 1024, 2048, 4096, 8192)
FEW = (1, 2, 4, 8, 16)
MANY = (1, 4, 16, 64, 128, 256)


class TgiGatewayDesk(EngineDesk):
    """The gateway: the command's flags are TGI's."""

    engine = ENGINE
    label_width = "185px"

    def fields(self, settings: TgiGatewaySettings) -> dict[str, Field]:
        """An input for each of TGI's limits."""
        return {
            "model": model_field(settings),
            "context": choice(settings, "context", TOKENS),
            "max_total_tokens": choice(settings, "max_total_tokens", TOKENS, unset=N_("context")),
            "max_input_tokens": choice(
                settings, "max_input_tokens", [n - 1 for n in TOKENS], unset=N_("one less than that")
            ),
            "max_batch_size": choice(settings, "max_batch_size", FEW),
            "max_concurrent_requests": choice(settings, "max_concurrent_requests", MANY),
            "max_best_of": choice(settings, "max_best_of", FEW),
            "max_stop_sequences": choice(settings, "max_stop_sequences", FEW),
            "max_top_n_tokens": choice(settings, "max_top_n_tokens", (0, 1, 2, 5, 10)),
        }

    def preview(self, values: Mapping[str, Any]) -> Preview:
        """The command, and the weights by the file's header."""
        settings = make_settings(ENGINE, dict(values))
        assert isinstance(settings, TgiGatewaySettings)
        file, name = locate(settings.model), Path(settings.model).name
        served = settings.served_model_name or name
        shown = prepared_as(PreparedTgiGateway, settings, model=str(file), served_model_name=served)
        weights = text_model_header(file).weights_bytes
        return Preview(
            command=ENGINE.command(shown, port=EXAMPLE_PORT, key="").line(),
            model=name,
            predicted={} if weights is None else {"weights": weights},
            notes=[key_note("API_KEY")],
        )


DESK = TgiGatewayDesk()
