"""A GGUF quantised by llama.cpp's own quantiser, which mixes formats by tensor.

It is part of llama-cpp-python (``llama_model_quantize``). It runs in a process of its own: it writes pages of log, and
a failure of it would end a notebook's kernel. ``requantise`` is the other way, without a compiled package: one format
for all matrices.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from courselib.errors import EngineMissing, ModelError
from courselib.i18n import _
from courselib.models.cache import cache_folder, checksum
from courselib.models.made import made_once
from courselib.models.resolve import resolve

FORMATS = ("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q4_K_M", "Q4_K_S", "Q4_0", "Q3_K_M", "Q3_K_S", "Q2_K")
"""The names of ``llama-quantize``. The IQ formats need an importance matrix, or minutes where these need seconds."""
TIMEOUT_S = 900
_PROGRAM = """
import ctypes, sys, llama_cpp
source, target, name, threads = sys.argv[1:]
options = llama_cpp.llama_model_quantize_default_params()
options.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{name}")
options.allow_requantize = True
options.nthread = int(threads)
sys.exit(llama_cpp.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(options)))
"""


def quantise(model: str | os.PathLike[str], format: str, *, threads: int = 1) -> Path:
    """A copy of a model in one of llama.cpp's formats, made once and kept in the cache.

    Args:
        model: as for ``resolve``.
        format: one of ``FORMATS``. A tensor whose rows do not divide into the format's blocks gets another one, which
            llama.cpp chooses; the file's tensors show which.
        threads: CPU threads.

    Returns:
        The GGUF file.

    Raises:
        EngineMissing: llama-cpp-python is not installed.
        ModelError: the format is none of these, or the model cannot be had, quantised or stored.
    """
    if format not in FORMATS:
        text = _("There is no format {format!r} here; there are: {formats}.")
        raise ModelError(text.format(format=format, formats=", ".join(FORMATS)))
    if importlib.util.find_spec("llama_cpp") is None:
        raise EngineMissing(_("llama-cpp-python, which has llama.cpp's quantiser, is missing; build it: make native"))
    source = resolve(model)
    # Another version of the quantiser may choose other formats for single tensors.
    folder = cache_folder() / "quantised" / f"{checksum(source)}-{version('llama-cpp-python')}"
    target = folder / f"{source.stem}.{format}.gguf"
    return made_once(target, lambda made: _make(source, made, format, threads))


def _make(source: Path, made: Path, format: str, threads: int) -> None:
    command = [sys.executable, "-c", _PROGRAM, str(source), str(made), format, str(threads)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        text = _("{name} was not quantised within {n} s; try again when other programs are done.")
        raise ModelError(text.format(name=source.name, n=TIMEOUT_S)) from None
    if done.returncode:
        text = _("llama.cpp cannot write {name} as {format}; the details have its log.")
        raise ModelError(text.format(name=source.name, format=format), details=done.stderr[-2000:])
