"""The llama.cpp server that the gateway starts for itself, on this machine only and with a key nobody else has."""

from __future__ import annotations

import os
import secrets
import subprocess
from importlib.metadata import version

from courselib.gateway.limits import Backend, Limits
from courselib.processes.guard import LINUX, die_with_parent
from courselib.processes.ports import free_port
from courselib.processes.python import python_module


def start(
    model: str, limits: Limits, *, threads: int | None, gpu_layers: int | None
) -> tuple[Backend, subprocess.Popen[bytes]]:
    """Start it; it need not answer yet.

    It stays in our process group, so that whoever ends the gateway's group ends both, and writes to our output.
    """
    port = free_port()
    key = secrets.token_urlsafe(24)
    flags = ["--model", model, "--port", str(port), "--ctx-size", str(limits.max_batch_total_tokens)]
    # One cache for all requests, as TGI's: any one of them may be as long as the limits allow.
    flags += ["--parallel", str(limits.max_batch_size), "--kv-unified", "--cors-origins", "localhost", "-lv", "4"]
    flags += ["--threads", str(threads or _default_threads())]
    flags += ["--gpu-layers", str(gpu_layers)] if gpu_layers is not None else []
    environment = {name: value for name, value in os.environ.items() if name != "API_KEY"} | {"LLAMA_API_KEY": key}
    process = subprocess.Popen(
        [*python_module("courselib.engines.llamacpp.program"), *flags],
        env=environment,
        preexec_fn=die_with_parent(os.getpid()) if LINUX else None,  # should we be killed outright
    )
    backend = Backend(url=f"http://127.0.0.1:{port}", key=key, version=f"xllamacpp {version('xllamacpp')}")
    return backend, process


def _default_threads() -> int:
    from courselib.engines.llamacpp.engine import default_threads  # takes time, and is seldom needed

    return default_threads()
