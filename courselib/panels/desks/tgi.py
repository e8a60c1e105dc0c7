"""The Deploy panel's knowledge of TGI itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from courselib.engines.launcher import make_settings
from courselib.engines.tgi import docker
from courselib.engines.tgi.engine import DOCKER, ENGINE
from courselib.engines.tgi.rules import ignored
from courselib.engines.tgi.settings import TgiSettings
from courselib.engines.tgi.values import DTYPES, QUANTIZATIONS
from courselib.i18n import N_
from courselib.panels.desks.base import EngineDesk, Preview, check, choice, key_note, model_field
from courselib.panels.fields import Choice, Field

EXAMPLE_PORT = 8080
TOKENS = (512, 1024, 2048, 4096, 8192, 16384, 32768)


class TgiDesk(EngineDesk):
    """TGI: its rules are checked as settings change; a start needs Docker or its launcher."""

    engine = ENGINE
    first = ("model", "max_total_tokens")
    label_width = "185px"
    gpu_only = ("quantize",)

    def fields(self, settings: TgiSettings) -> dict[str, Field]:
        """An input for each limit, and for what decides about memory."""
        own = N_("TGI's own")

        def tokens(name: str, options: Any = TOKENS) -> Choice:
            return choice(settings, name, options, unset=own)

        return {
            "model": model_field(settings),
            "max_input_tokens": tokens("max_input_tokens", [n - 1 for n in TOKENS]),
            "max_total_tokens": tokens("max_total_tokens"),
            "max_batch_prefill_tokens": tokens("max_batch_prefill_tokens"),
            "max_batch_total_tokens": tokens("max_batch_total_tokens"),
            "waiting_served_ratio": tokens("waiting_served_ratio", (0.3, 1.2)),
            "prefill_chunking": check(settings, "prefill_chunking"),
            "cuda_memory_fraction": tokens("cuda_memory_fraction", (0.5, 0.8, 0.9, 1.0)),
            "dtype": tokens("dtype", DTYPES),
            "quantize": choice(settings, "quantize", QUANTIZATIONS, unset=N_("none")),
            "shm_size": choice(settings, "shm_size", ("1g", "64g")),
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

    def check_here(self, values: Mapping[str, Any]) -> None:
        """Docker is asked whether it runs, where TGI would be started by it."""
        settings = make_settings(ENGINE, dict(values))
        assert isinstance(settings, TgiSettings)
        if ENGINE.for_this_machine(settings).binary == DOCKER:
            docker.check_docker()


DESK = TgiDesk()
