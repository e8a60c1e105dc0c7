"""llama.cpp's own C++ server: settings, command, and how it reports and fails.

The program is ``llama-server`` where one is asked for, else the prebuilt ``xllamacpp`` wheel, which carries the same
server; ``courselib llama-server`` runs it under the same flags, so one command serves both.
Flags, defaults and messages: llama.cpp b11549 (xllamacpp 2026.10.11549), read off the running engine.
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import psutil

from courselib.engines.base import Cause, Command, Engine, EngineSettings, Memory, Metrics, parse_prometheus
from courselib.engines.checks import check_choice, check_whole
from courselib.environment import cores
from courselib.errors import EngineDied, EngineMissing, ModelCorrupt, OutOfMemory, PortTaken, SettingsError
from courselib.i18n import N_, _

if TYPE_CHECKING:
    import httpx

    from courselib.models import GgufHeader

CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")
# Bytes a number takes: ggml's blocks of 32 values with their scales (ggml-common.h).
BYTES_PER_VALUE = {
    "f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q5_1": 24 / 32, "q5_0": 22 / 32,
    "q4_1": 20 / 32, "q4_0": 18 / 32, "iq4_nl": 18 / 32,
}  # fmt: skip
MIB = 1024 * 1024
# A first token costs the engine no time of its own account: a rate from it alone would be a million a second.
LEAST_TIMED_S = 0.001


@dataclass(frozen=True, kw_only=True)
class LlamaCppSettings(EngineSettings):
    """Settings of llama.cpp's server that the course teaches, named as its long flags.

    Args:
        alias: the name under which the model is served; ``None`` takes the one asked for (``--alias``).
        context: tokens of KV cache, shared out evenly to the slots (``--ctx-size``).
        parallel: slots, that is requests served at once (``--parallel``).
        threads: CPU threads; ``None`` leaves one core to other programs; more than cores is far slower (``--threads``).
        batch: tokens submitted at once while reading a prompt (``--batch-size``).
        ubatch: tokens computed at once, at most ``batch`` (``--ubatch-size``).
        gpu_layers: layers kept on the GPU; ``None`` puts there what fits, 0 is off (``--gpu-layers``).
        mlock: keep the weights in RAM whatever happens (``--load-mode mmap+mlock``).
        cont_batching: let requests join a running batch (``--cont-batching``).
        cache_type_k, cache_type_v: number format of the KV cache (``--cache-type-k``, ``--cache-type-v``).
        flash_attn: FlashAttention; a quantised ``cache_type_v`` needs it (``--flash-attn``).
        metrics: serve ``/metrics`` for Prometheus (``--metrics``).
        binary: ``"wheel"``, ``"llama-server"`` (the one on the PATH), or a path to one.
    """

    alias: str | None = None
    context: int = 4096
    parallel: int = 1
    threads: int | None = None
    batch: int = 2048
    ubatch: int = 512
    gpu_layers: int | None = None
    mlock: bool = False
    cont_batching: bool = True
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    flash_attn: Literal["on", "off", "auto"] = "auto"
    metrics: bool = True
    binary: str = "wheel"

    def __post_init__(self) -> None:
        for name, low in (("context", 1), ("parallel", 1), ("batch", 1), ("ubatch", 1)):
            check_whole(name, getattr(self, name), low)
        for name, low in (("threads", 1), ("gpu_layers", 0)):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name), low)
        for name in ("cache_type_k", "cache_type_v"):
            check_choice(name, getattr(self, name), CACHE_TYPES)
        check_choice("flash_attn", self.flash_attn, ("on", "off", "auto"))
        if self.parallel > self.context:
            raise SettingsError(
                _("parallel is {parallel} but context only {context}: each slot needs a token at least; raise context.")
                .format(parallel=self.parallel, context=self.context)
            )  # fmt: skip
        if self.ubatch > self.batch:
            raise SettingsError(
                _("ubatch is {ubatch}, more than batch ({batch}); lower ubatch or raise batch.").format(
                    ubatch=self.ubatch, batch=self.batch
                )
            )
        if self.flash_attn == "off" and self.cache_type_v not in ("f32", "f16", "bf16"):
            raise SettingsError(
                _(
                    "cache_type_v={value!r} needs FlashAttention; set flash_attn to 'on', or cache_type_v to 'f16'."
                ).format(value=self.cache_type_v)
            )


def kv_cache_bytes(settings: LlamaCppSettings, header: GgufHeader) -> int:
    """Bytes of KV cache llama.cpp will allocate.

    Each slot's share of the context is rounded up to 256 cells; each cell holds a key and a value for each layer and
    KV head. Agrees with the engine's own log line to its last printed digit (llama-kv-cache.cpp, measured).
    """
    cells = settings.parallel * -(-(settings.context // settings.parallel) // 256) * 256
    per_cell = header.layers * header.kv_heads * (
        header.key_length * BYTES_PER_VALUE[settings.cache_type_k]
        + header.value_length * BYTES_PER_VALUE[settings.cache_type_v]
    )  # fmt: skip
    return round(cells * per_cell)


def default_threads() -> int:
    """One thread fewer than there are cores, and at least one.

    llama.cpp's threads wait for each other after every operation by spinning. As soon as one of them shares its core
    with a busy program, such as a notebook's kernel or a browser, all crawl: with 2 threads on 2 cores and one core
    busy, a speed of 90 tokens a second fell below 1, while a single thread kept its 70 (measured, SmolLM2-135M).
    """
    physical = psutil.cpu_count(logical=False) or cores()
    return max(1, min(physical, cores()) - 1)


class LlamaCpp(Engine):
    """llama.cpp's HTTP server."""

    name = "llama.cpp"
    settings_type = LlamaCppSettings
    # llama-server does not end on TERM while a request runs, so there is no use in waiting longer.
    grace_s = 1.0
    causes: ClassVar[tuple[Cause, ...]] = (
        Cause(
            r"couldn't bind HTTP server socket.*port: (?P<port>\d+)",
            PortTaken,
            N_("Port {port} is in use; stop what listens there, or leave port out for a free one."),
        ),
        Cause(
            r"failed to allocate buffer for kv cache|unable to allocate .* buffer|failed to allocate .*buffer of size",
            OutOfMemory,
            N_("The KV cache does not fit into memory; lower context, or choose a smaller cache_type_k."),
        ),
        Cause(
            r"data is not within the file bounds|model is corrupted or incomplete",
            ModelCorrupt,
            N_("The model's file is cut short; download it again."),
        ),
        Cause(
            r"unknown model architecture: '(?P<architecture>[^']+)'",
            EngineDied,
            N_("This llama.cpp does not know the architecture {architecture!r}; use a newer one, or another model."),
        ),
        Cause(
            r"error: (?P<words>invalid argument: .*|unknown argument.*|.*failed to parse.*)",
            EngineDied,
            N_("llama-server refuses an argument ({words}); it may be older or newer than this course expects."),
        ),
        Cause(
            r"failed to load model|error loading model",
            EngineDied,
            N_("llama.cpp could not load the model; make sure that the file is a GGUF of a language model, and whole."),
        ),
    )

    def prepare(self, settings: EngineSettings) -> LlamaCppSettings:
        """Resolve the model's file, choose threads, and compare what is needed with the memory there is."""
        from courselib import models

        assert isinstance(settings, LlamaCppSettings)
        _find_binary(settings.binary)
        path = models.resolve(settings.model)
        ready = replace(
            settings,
            model=str(path),
            alias=settings.alias or Path(settings.model).name,
            threads=settings.threads or default_threads(),
        )
        needed = kv_cache_bytes(ready, models.gguf_header(path))
        available = psutil.virtual_memory().available
        # The engine itself would accept this, load for half a minute and then be killed by the operating system.
        if needed > available:
            raise OutOfMemory(
                _(
                    "A context of {context} tokens needs {needed} MiB of KV cache, but only {available} MiB of memory"
                    " are free; lower context to {fits} or less."
                ).format(
                    context=ready.context,
                    needed=needed // MIB,
                    available=available // MIB,
                    fits=int(ready.context * available / needed * 0.8) // 256 * 256,
                )
            )
        return ready

    def command(self, settings: EngineSettings, *, port: int, key: str) -> Command:
        """llama-server's flags, whichever build runs them; the key goes by environment, out of sight of ``ps``."""
        assert isinstance(settings, LlamaCppSettings)
        flags = _flags(settings, port)
        if settings.binary == "wheel":
            run = [sys.executable, "-m", "courselib.llama_server", *flags]
            shown = ["courselib", "llama-server", *flags]
        else:
            run = [_find_binary(settings.binary), *flags]
            shown = [settings.binary, *flags]
        # OMP_WAIT_POLICY stays untouched: a passive wait is kinder to busy machines but 4 times slower on idle ones.
        return Command(run=run, shown=shown, environment={"LLAMA_API_KEY": key})

    def library_options(self, settings: EngineSettings) -> dict[str, Any]:
        """A slot's share of the context."""
        assert isinstance(settings, LlamaCppSettings)
        return {"n_ctx": settings.context // settings.parallel}

    def recognise(self, http: httpx.Client) -> bool:
        """llama-server names itself in a header of every answer."""
        return str(http.get("/health").headers.get("server", "")).startswith("llama.cpp")

    def memory(self, log: str, rss: int) -> Memory:
        """Sizes from the log, which llama.cpp prints at verbosity 4 only."""

        def sizes(pattern: str) -> int | None:
            found = re.findall(pattern + r" *= *([\d.]+) MiB", log)
            return round(sum(map(float, found)) * MIB) if found else None

        return Memory(
            rss=rss,
            weights=sizes(r"load_tensors: .*model buffer size"),
            kv_cache=sizes(r"llama_kv_cache: .*KV buffer size"),
            compute=sizes(r"sched_reserve: .*compute buffer size"),
            output=sizes(r"llama_context: .*output buffer size"),
        )

    def metrics(self, http: httpx.Client) -> Metrics:
        """From ``/metrics``, which is only there with the setting ``metrics``."""
        answer = http.get("/metrics")
        if answer.status_code == 501:
            raise SettingsError(_("This server was started without metrics; start it with metrics=True."))
        raw = parse_prometheus(answer.raise_for_status().text)
        seconds = raw.get("llamacpp:tokens_predicted_seconds_total", 0.0)
        generated = raw.get("llamacpp:tokens_predicted_total", 0.0)
        return Metrics(
            running=int(raw.get("llamacpp:requests_processing", 0)),
            waiting=int(raw.get("llamacpp:requests_deferred", 0)),
            prompt_tokens=int(raw.get("llamacpp:prompt_tokens_total", 0)),
            cached_tokens=int(raw.get("llamacpp:prompt_tokens_cached_total", 0)),
            generated_tokens=int(generated),
            tokens_per_s=generated / seconds if seconds > LEAST_TIMED_S else None,
            raw=raw,
        )


def _find_binary(binary: str) -> str:
    if binary == "wheel":
        return sys.executable
    if found := shutil.which(binary):
        return found
    raise EngineMissing(
        _(
            "There is no program {binary!r} on the PATH; install llama.cpp, or leave binary out to use the one that"
            " comes with the course."
        ).format(binary=binary)
    )


def _flags(settings: LlamaCppSettings, port: int) -> list[str]:
    """Settings as llama-server's flags; what equals the engine's own default and teaches nothing is left out."""
    flags = ["--model", settings.model]
    if settings.alias:
        flags += ["--alias", settings.alias]
    flags += ["--host", settings.host, "--port", str(port)]
    flags += ["--ctx-size", str(settings.context), "--parallel", str(settings.parallel)]
    if settings.threads is not None:
        flags += ["--threads", str(settings.threads)]
    flags += ["--batch-size", str(settings.batch), "--ubatch-size", str(settings.ubatch)]
    if settings.gpu_layers is not None:
        flags += ["--gpu-layers", str(settings.gpu_layers)]
    if settings.mlock:
        flags += ["--load-mode", "mmap+mlock"]
    if not settings.cont_batching:
        flags += ["--no-cont-batching"]
    flags += ["--cache-type-k", settings.cache_type_k, "--cache-type-v", settings.cache_type_v]
    flags += ["--flash-attn", settings.flash_attn]
    if settings.metrics:
        flags += ["--metrics"]
    # Any web page may call the server otherwise; sizes are only logged at this verbosity.
    return [*flags, "--cors-origins", "localhost", "--log-verbosity", "4"]


ENGINE = LlamaCpp()
