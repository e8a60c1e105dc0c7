"""The TGI gateway: TGI's HTTP protocol, llama.cpp's engine. Settings, command, and how it reports and fails.

One process serves the protocol and starts llama.cpp's server for itself; the guard ends both. Settings have TGI's
names and are held to the rules of its launcher and router, in their words (TGI 3.3.7, launcher/src/main.rs).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from courselib.checks import check_whole
from courselib.engines.base import (
    Cause,
    Command,
    Engine,
    EngineSettings,
    Memory,
    Metrics,
    parse_prometheus,
    prepared_as,
)
from courselib.engines.llamacpp.engine import ENGINE as LLAMACPP
from courselib.engines.llamacpp.settings import LlamaCppSettings
from courselib.errors import EngineDied, PortTaken, SettingsError
from courselib.i18n import N_, _
from courselib.processes.python import python_module

if TYPE_CHECKING:
    import httpx

LEAST = {
    "context": 2,
    "max_total_tokens": 2,
    "max_input_tokens": 1,
    "max_batch_size": 1,
    "max_concurrent_requests": 1,
    "max_best_of": 1,
    "max_stop_sequences": 0,
    "max_top_n_tokens": 0,
    "max_client_batch_size": 1,
    "threads": 1,
    "gpu_layers": 0,
}


@dataclass(frozen=True, kw_only=True)
class TgiGatewaySettings(EngineSettings):
    """Settings of the gateway: TGI's, and three of the llama.cpp server behind it.

    Args:
        served_model_name: the name under which the model is served; ``None`` takes the one asked for.
        context: tokens of KV cache, shared by all requests that run at once (TGI: ``--max-batch-total-tokens``).
        max_total_tokens: tokens of prompt and answer together; ``None`` is ``context``.
        max_input_tokens: tokens of the prompt, less than ``max_total_tokens``; ``None`` is one less.
        max_batch_size: requests that run at once; the others wait.
        max_concurrent_requests: requests running and waiting; one more is answered 429.
        max_best_of: answers to choose the best of.
        max_stop_sequences: stop strings of one request.
        max_top_n_tokens: most likely tokens returned with each token.
        max_client_batch_size: prompts in one request for completions.
        threads: llama.cpp's CPU threads; ``None`` leaves one core to other programs.
        gpu_layers: llama.cpp's layers on the GPU; ``None`` puts there what fits, 0 is off.
    """

    served_model_name: str | None = None
    context: int = 4096
    max_total_tokens: int | None = None
    max_input_tokens: int | None = None
    max_batch_size: int = 4
    max_concurrent_requests: int = 128
    max_best_of: int = 2
    max_stop_sequences: int = 4
    max_top_n_tokens: int = 5
    max_client_batch_size: int = 4
    threads: int | None = None
    gpu_layers: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, low in LEAST.items():
            value = getattr(self, name)
            if value is not None:
                check_whole(name, value, low)
        if self.total_tokens > self.context:
            raise SettingsError(
                _(
                    "`max_total_tokens` must be <= `max_batch_total_tokens`. Given: {total} and {context};"
                    " lower max_total_tokens, or raise context, which is max_batch_total_tokens here."
                ).format(total=self.total_tokens, context=self.context)
            )
        if self.input_tokens >= self.total_tokens:
            raise SettingsError(
                _(
                    "`max_input_tokens`({input}) must be < `max_total_tokens`({total}); lower max_input_tokens, or"
                    " leave it out."
                ).format(input=self.input_tokens, total=self.total_tokens)
            )

    @property
    def total_tokens(self) -> int:
        """``max_total_tokens``, the default filled in."""
        return self.context if self.max_total_tokens is None else self.max_total_tokens

    @property
    def input_tokens(self) -> int:
        """``max_input_tokens``, the default filled in."""
        return self.total_tokens - 1 if self.max_input_tokens is None else self.max_input_tokens


@dataclass(frozen=True, kw_only=True)
class PreparedTgiGateway(TgiGatewaySettings):
    """Settings made ready: the model is a path.

    Args:
        notes: those of the llama.cpp server behind it.
    """

    notes: tuple[str, ...] = ()


class TgiGateway(Engine[TgiGatewaySettings, PreparedTgiGateway]):
    """TGI's protocol in front of llama.cpp."""

    name = "tgi-gateway"
    about = N_("TGI's protocol, llama.cpp's engine")
    settings_type = TgiGatewaySettings
    # The clients of TGI's own routes want the root, which serves OpenAI's routes to the hub's client as well.
    hub_path = ""
    # The engine behind does not end on TERM while a request runs.
    grace_s = 1.0
    causes: ClassVar[tuple[Cause, ...]] = (
        Cause(
            r"error while attempting to bind on address \('[^']*', (?P<port>\d+)",
            PortTaken,
            N_("Port {port} is in use; stop what listens there, or leave port out for a free one."),
        ),
        *LLAMACPP.causes,
        Cause(
            r"error: (?P<words>unrecognized arguments: .*|argument .*|`max_.*)",
            EngineDied,
            N_("The gateway refuses an argument ({words}); reinstall the course."),
        ),
    )

    def prepare(self, settings: TgiGatewaySettings) -> PreparedTgiGateway:
        """What the llama.cpp server needs, and a limit no higher than the model's own context."""
        from courselib import models

        inner = LlamaCppSettings(
            model=settings.model,
            alias=settings.served_model_name,
            host=settings.host,
            context=settings.context,
            threads=settings.threads,
            gpu_layers=settings.gpu_layers,
        )
        ready = LLAMACPP.prepare(inner)
        trained = models.gguf_header(Path(ready.model)).context_length
        total = settings.total_tokens
        if settings.max_total_tokens is None and trained:
            total = min(total, trained)
        if trained and total > trained:
            raise SettingsError(
                _("max_total_tokens is {total}, but the model was trained for {trained}; lower it.").format(
                    total=total, trained=trained
                )
            )
        return prepared_as(
            PreparedTgiGateway,
            settings,
            model=ready.model,
            served_model_name=ready.alias,
            threads=ready.threads,
            max_total_tokens=total,
            notes=ready.notes,
        )

    def command(self, settings: PreparedTgiGateway, *, port: int, key: str) -> Command:
        """The gateway's flags, which are those of TGI's launcher; the key goes by environment."""
        flags = _flags(settings, port)
        return Command(
            run=[*python_module("courselib.gateway"), *flags],
            shown=["python", "-m", "courselib.gateway", *flags],
            environment={"API_KEY": key},
            notes=settings.notes,
        )

    def recognise(self, http: httpx.Client) -> bool:
        """``/info`` tells what it is."""
        answer = http.get("/info")
        if answer.status_code != 200 or "json" not in answer.headers.get("content-type", ""):
            return False
        told = answer.json()
        return isinstance(told, dict) and told.get("gateway") == "courselib"

    def memory(self, log: str, rss: int) -> Memory:
        """The llama.cpp server's log is part of ours."""
        return LLAMACPP.memory(log, rss)

    def metrics(self, http: httpx.Client) -> Metrics:
        """From ``/metrics``, whose names are TGI's."""
        raw = parse_prometheus(http.get("/metrics").raise_for_status().text)
        generated = raw.get("tgi_request_generated_tokens_sum", 0.0)
        seconds = raw.get("tgi_request_inference_duration_sum", 0.0)
        return Metrics(
            running=int(raw.get("tgi_batch_current_size", 0)),
            waiting=int(raw.get("tgi_queue_size", 0)),
            prompt_tokens=int(raw.get("tgi_request_input_length_sum", 0)),
            cached_tokens=None,
            generated_tokens=int(generated),
            tokens_per_s=generated / seconds if seconds else None,
            raw=raw,
        )


def _flags(settings: TgiGatewaySettings, port: int) -> list[str]:
    flags = ["--model-id", settings.model]
    flags += ["--served-model-name", settings.served_model_name] if settings.served_model_name else []
    flags += ["--hostname", settings.host, "--port", str(port)]
    flags += ["--max-input-tokens", str(settings.input_tokens), "--max-total-tokens", str(settings.total_tokens)]
    flags += ["--max-batch-total-tokens", str(settings.context), "--max-batch-size", str(settings.max_batch_size)]
    for name in ("concurrent_requests", "best_of", "stop_sequences", "top_n_tokens", "client_batch_size"):
        flags += [f"--max-{name.replace('_', '-')}", str(getattr(settings, f"max_{name}"))]
    for name in ("threads", "gpu_layers"):
        if (value := getattr(settings, name)) is not None:
            flags += [f"--{name.replace('_', '-')}", str(value)]
    return flags


ENGINE = TgiGateway()
