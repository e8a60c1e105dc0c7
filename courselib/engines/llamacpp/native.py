"""llama.cpp as a library in this process, through llama-cpp-python.

A build of llama.cpp with instructions that the machine announces and does not grant ends the process that runs it, and
a notebook's kernel with it. So the first time a build is used, it makes a token in a process of its own.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

from courselib import models
from courselib.engines.llamacpp.engine import default_threads
from courselib.errors import EngineDied, EngineMissing, SettingsError
from courselib.i18n import _
from courselib.models import CATALOGUE, bundled
from courselib.models.cache import cache_folder

if TYPE_CHECKING:
    from llama_cpp import Llama

PACKAGE = "llama-cpp-python"
TRIAL_TIMEOUT_S = 120
# Windows ends a crashed process with a code of its own, a large positive number (ntstatus.h).
WINDOWS_CRASH = 0xC0000000
TRIAL = """
import sys
from llama_cpp import Llama
path, vocab_only = sys.argv[1], sys.argv[2] == "vocabulary"
llm = Llama(path, n_ctx=64, n_threads=1, verbose=False, vocab_only=vocab_only)
llm.tokenize(b"Hello") if vocab_only else llm("Hello", max_tokens=1)
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
    used = threads or default_threads()
    # For a prompt the library would take a thread for each core of the machine, though this process may have fewer.
    settings = {"n_ctx": context, "n_threads": used, "n_threads_batch": used, "n_gpu_layers": gpu_layers}
    return Llama(str(path), **{"flash_attn": True, "verbose": False, **settings, **options})


def _try_once(path: str) -> None:
    """Make a token in another process, unless this build has done so before.

    The bundled model is used where it is on this machine. Where it is not, only the vocabulary of the one asked for is
    read: that proves less, but loading it whole could take minutes; so the trial is made again the next time.
    """
    try:
        build = distribution(PACKAGE)
    except PackageNotFoundError:
        raise EngineMissing(
            _("llama-cpp-python is not installed; build it for this machine with: make native (takes some minutes).")
        ) from None
    stamp = _stamp(build)
    if stamp and stamp.exists():
        return
    small = bundled.find(CATALOGUE[0])
    _try([str(small or path), "whole" if small else "vocabulary"])
    if stamp and small:
        with contextlib.suppress(OSError):  # a cache that cannot be written costs time, nothing else
            stamp.parent.mkdir(parents=True, exist_ok=True)
            stamp.touch()


def _stamp(build: Distribution) -> Path | None:
    """The file that says that this build was tried; None where there is no place for it."""
    library = Path(str(build.locate_file("llama_cpp/lib")))
    with contextlib.suppress(OSError, SettingsError):
        return cache_folder() / "tried" / f"{PACKAGE}-{build.version}-{library.stat().st_mtime_ns}"
    return None


def _try(arguments: list[str]) -> None:
    command = [sys.executable, "-c", TRIAL, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TRIAL_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise EngineDied(
            _(
                "llama-cpp-python made no token within {n} s; if other programs keep this machine busy, try again when"
                " they are done, else build it anew with: make native"
            ).format(n=TRIAL_TIMEOUT_S)
        ) from None
    code, details = done.returncode, done.stderr[-2000:]
    if code < 0 or code >= WINDOWS_CRASH:
        text = _(
            "This build of llama-cpp-python crashes here ({reason}): it may use instructions this machine does not"
            " grant. Build it anew with: make native"
        )
        reason = _("signal {number}").format(number=-code) if code < 0 else f"{code:#x}"
        raise EngineDied(text.format(reason=reason), details=details)
    if code > 0:
        words = (done.stderr.strip().splitlines() or [_("exit code {code}").format(code=code)])[-1]
        text = _("llama-cpp-python does not work here ({words}); build it anew with: make native").format(words=words)
        raise EngineDied(text, details=details)
