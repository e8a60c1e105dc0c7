"""vLLM as a library, in a notebook's own process: what that needs before ``from vllm import LLM``.

The kernel must be one that has vLLM: the one called vLLM, which ``courselib install vllm`` adds, or any other whose
environment has it.
"""

from __future__ import annotations

import os
import sys
import warnings

from courselib.engines.vllm import environment, machine
from courselib.engines.vllm.model import find_model
from courselib.errors import EngineMissing
from courselib.i18n import _
from courselib.processes.process import short_folder

# A hundred lines of log at each start, most of them about what is not there; errors remain (vLLM 0.32, torch 2.13).
QUIET = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "TORCH_CPP_LOG_LEVEL": "ERROR",
    "TORCH_LOGS": "-all",
    "PYTHONWARNINGS": "ignore",
}


def prepare(model: str = "smollm2-135m") -> str:
    """Make this process ready to import vLLM, quietly and on all cores, and have the model's files here.

    Args:
        model: as for ``launch``.

    Returns:
        What ``vllm.LLM`` takes as ``model``: a folder, or the name of a repository that has been downloaded.

    Raises:
        EngineMissing: this process's environment has no vLLM.
        ModelError: the model cannot be had.
    """
    found = environment.here()
    if found is None:
        environment.find()  # says how to install it
        raise EngineMissing(
            _("vLLM is installed, but not in this notebook's kernel; choose the kernel vLLM: Kernel, Change Kernel.")
        )
    here = machine.look(found)
    warnings.filterwarnings("ignore", message="IProgress not found")
    argument = find_model(model, sys.executable).argument
    os.environ.update(QUIET | environment.OFFLINE)
    os.environ.setdefault(environment.SOCKETS, short_folder())
    if found.cpu:
        os.environ.setdefault(environment.BIND, here.cpus)
    return argument
