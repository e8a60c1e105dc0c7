"""llama.cpp as a library in this process, through llama-cpp-python.

A build of llama.cpp with instructions that the machine announces and does not grant ends the process that runs it, and
a notebook's kernel with it. So the first time a build is used, it makes a token in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from courselib import models
from courselib.engines.llamacpp import default_threads
from courselib.errors import EngineDied, EngineMissing
from courselib.i18n import _
from courselib.models.cache import cache_folder

if TYPE_CHECKING:
    from llama_cpp import Llama

PACKAGE = "llama-cpp-python"
TRIAL_TIMEOUT_S = 120
TRIAL = """
import sys
from llama_cpp import Llama
llm = Llama(sys.argv[1], n_ctx=64, n_threads=1, verbose=False)
llm("Hello", max_tokens=1)
"""


def native(
    model: str = "smollm2-135m", *, context: int = 2048, threads: int | None = None, gpu_layers: int = 0, **options: Any
) -> Llama:
    """Open a ``llama_cpp.Llama`` in this process.

    Args:
        model: as for ``launch``.
        context: tokens of KV cache.
        threads: CPU threads; ``None`` leaves one core to other programs.
        gpu_layers: layers on the GPU; 0 is off.
        options: other arguments of ``Llama``, by its names; it swallows unknown ones without a word.

    Raises:
        EngineMissing: llama-cpp-python is not installed.
        EngineDied: this build of it does not run on this machine.
        ModelError: the model cannot be had.
    """
    path = models.resolve(model)
    _try_once(str(path))
    from llama_cpp import Llama

    # FlashAttention is off by default here and on in the server: the same setting, so that both give the same logits.
    settings = {"n_ctx": context, "n_threads": threads or default_threads(), "n_gpu_layers": gpu_layers}
    return Llama(str(path), **{"flash_attn": True, "verbose": False, **settings, **options})


def _try_once(path: str) -> None:
    try:
        build = distribution(PACKAGE)
    except PackageNotFoundError:
        raise EngineMissing(
            _("llama-cpp-python is not installed; build it for this machine with: make native (takes some minutes).")
        ) from None
    library = Path(str(build.locate_file("llama_cpp/lib")))
    stamp = cache_folder() / "tried" / f"{PACKAGE}-{build.version}-{library.stat().st_mtime_ns}"
    if stamp.exists():
        return
    command = [sys.executable, "-c", TRIAL, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_TIMEOUT_S, check=False)
    if done.returncode < 0:
        text = _(
            "This build of llama-cpp-python crashes here (signal {number}): it may use instructions this machine does"
            " not grant. Build it anew with: make native"
        )
        raise EngineDied(text.format(number=-done.returncode), details=done.stderr[-2000:])
    if done.returncode > 0:
        words = (done.stderr.strip().splitlines() or [""])[-1]
        text = _("llama-cpp-python does not work here ({words}); build it anew with: make native").format(words=words)
        raise EngineDied(text, details=done.stderr[-2000:])
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.touch()
