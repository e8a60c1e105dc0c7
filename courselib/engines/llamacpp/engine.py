"""llama.cpp's own C++ server: settings, command, and how it reports and fails.

The program is ``llama-server`` where one is asked for, else the prebuilt ``xllamacpp`` wheel, which carries the same
server; ``courselib llama-server`` runs it under the same flags, so one command serves both.
Flags, defaults and messages: llama.cpp b11549 (xllamacpp 2026.10.11549), read off the running engine.
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from courselib.engines.base import Cause, Command, Engine, Memory, Metrics, parse_prometheus, prepared_as
from courselib.engines.llamacpp.checks import check_memory
from courselib.engines.llamacpp.settings import LlamaCppSettings, PreparedLlamaCpp
from courselib.engines.llamacpp.values import CACHE_RAM_MIB
from courselib.errors import EngineDied, EngineMissing, ModelCorrupt, OutOfMemory, PortTaken, SettingsError
from courselib.i18n import N_, _
from courselib.machine import fast_cores, gpus, memory
from courselib.memory import MIB, llamacpp
from courselib.processes.python import python_module

if TYPE_CHECKING:
    import httpx

# A first token costs the engine no time of its own account: a rate from it alone would be a million a second.
LEAST_TIMED_S = 0.001


def default_threads() -> int:
    """One thread fewer than there are fast cores that this process may keep busy, and at least one.

    llama.cpp's threads wait for each other after every operation by spinning. As soon as one of them shares its core
    with a busy program, such as a notebook's kernel or a browser, all crawl: with 2 threads on 2 cores and one core
    busy, a speed of 90 tokens a second fell below 1, while a single thread kept its 70 (measured, SmolLM2-135M).
    """
    return max(1, fast_cores() - 1)


class LlamaCpp(Engine[LlamaCppSettings, PreparedLlamaCpp]):
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

    def prepare(self, settings: LlamaCppSettings) -> PreparedLlamaCpp:
        """Resolve the model's file, choose threads, and compare what is needed with the memory there is."""
        from courselib import models

        _find_binary(settings.binary)
        path = models.resolve(settings.model)
        header = models.text_model_header(path)
        ready = prepared_as(
            PreparedLlamaCpp,
            settings,
            model=str(path),
            alias=settings.alias or Path(settings.model).name,
            threads=settings.threads or default_threads(),
        )
        # A cache on a GPU does not need RAM, and how much goes there is the engine's choice.
        if ready.gpu_layers == 0 or not gpus():
            note = check_memory(ready, header, memory().available)
            ready = replace(ready, notes=(note,) if note else ())
        return ready

    def command(self, settings: PreparedLlamaCpp, *, port: int, key: str) -> Command:
        """llama-server's flags, whichever build runs them; the key goes by environment, out of sight of ``ps``."""
        flags = _flags(settings, port)
        if settings.binary == "wheel":
            run = [*python_module("courselib.engines.llamacpp.program"), *flags]
            shown = ["courselib", "llama-server", *flags]
        else:
            run = [_find_binary(settings.binary), *flags]
            shown = [settings.binary, *flags]
        # OMP_WAIT_POLICY stays untouched: a passive wait is kinder to busy machines but 4 times slower on idle ones.
        return Command(run=run, shown=shown, environment={"LLAMA_API_KEY": key}, notes=settings.notes)

    def library_options(self, settings: PreparedLlamaCpp) -> dict[str, Any]:
        """A slot's share of the context, which llama.cpp rounds up to whole rows of cells."""
        return {"n_ctx": llamacpp.Settings.of(settings).cells}

    def recognise(self, http: httpx.Client) -> bool:
        """llama-server names itself in a header of every answer, and as its models' owner if a proxy changes that."""
        if str(http.get("/health").headers.get("server", "")).startswith("llama.cpp"):
            return True
        return bool(http.get("/v1/models").json()["data"][0].get("owned_by") == "llamacpp")

    def memory(self, log: str, rss: int) -> Memory:
        """Sizes from the log, which llama.cpp prints at verbosity 4 only."""

        def sizes(pattern: str) -> int | None:
            found = re.findall(pattern + r" *= *([\d.]+) MiB", log)
            return round(sum(map(float, found)) * MIB) if found else None

        return Memory(
            rss=rss,
            weights=sizes(r"load_tensors: .*model buffer size"),
            kv_cache=sizes(r"(?:llama_kv_cache: .*KV|llama_memory_recurrent: .*RS) buffer size"),
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
    if settings.kv_unified:
        flags += ["--kv-unified"]
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
    if settings.cache_ram != CACHE_RAM_MIB:
        flags += ["--cache-ram", str(settings.cache_ram)]
    flags += ["--flash-attn", settings.flash_attn]
    if settings.metrics:
        flags += ["--metrics"]
    # Any web page may call the server otherwise; sizes are only logged at this verbosity.
    return [*flags, "--cors-origins", "localhost", "--log-verbosity", "4"]


ENGINE = LlamaCpp()
