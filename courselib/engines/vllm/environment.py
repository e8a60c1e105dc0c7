"""Where vLLM is: in an environment of its own, because its pins are not the course's.

Looked for in this order: the interpreter that ``COURSELIB_VLLM_PYTHON`` names, the one that runs now, the environment
that ``courselib install vllm`` makes. The last is only there once its stamp is, which is written after all the rest.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from courselib.errors import EngineMissing
from courselib.i18n import _
from courselib.models.cache import cache_folder

VARIABLE = "COURSELIB_VLLM_PYTHON"
PROBE_TIMEOUT_S = 30
INSTALL = "courselib install vllm"
# Where vLLM reads which cores to compute on; by itself it spares one.
BIND = "VLLM_CPU_OMP_THREADS_BIND"
# Eager mode leaves some helpers to be compiled at their first use, those of log-probabilities among them: 15 s on two
# cores, while the request waits, against 0.2 s without. Where this is "1", torch compiles nothing.
NO_COMPILER = "TORCHDYNAMO_DISABLE"
# Where vLLM makes its Unix sockets, whose paths must be short; by itself where temporary files are.
SOCKETS = "VLLM_RPC_BASE_PATH"
# By default it reports to its makers.
NO_STATISTICS = {"VLLM_NO_USAGE_STATS": "1"}
# All files are here before it starts.
OFFLINE = {"HF_HUB_OFFLINE": "1", **NO_STATISTICS}
# Metadata only: importing vLLM takes ten seconds.
PROBE = """
import json
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
print(json.dumps([version("vllm"), version("vllm-cpu")]))
"""


@dataclass(frozen=True)
class VllmEnvironment:
    """An interpreter that has vLLM.

    Args:
        python: the interpreter.
        version: vLLM's version.
        cpu: whether it is the build for CPUs.
    """

    python: str
    version: str
    cpu: bool

    @property
    def device(self) -> str:
        """What this build runs on, for people."""
        return _("for the CPU") if self.cpu else _("for NVIDIA GPUs")


def folder() -> Path:
    """Where the course's own environment for vLLM is, or would be."""
    return cache_folder() / "environments" / "vllm"


def stamp() -> Path:
    """The file that says that the course's own environment is finished, and what is in it."""
    return folder() / "courselib.json"


def interpreter() -> Path:
    """The interpreter of the course's own environment."""
    return folder() / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def asked() -> str | None:
    """The interpreter that the environment asks for, if it does."""
    return os.environ.get(VARIABLE) or None


def find(python: str | None = None) -> VllmEnvironment:
    """The environment to use.

    Args:
        python: an interpreter asked for; no other is then looked at.

    Raises:
        EngineMissing: there is none, or the one asked for has no vLLM.
    """
    if wanted := python or asked():
        return probe(wanted)
    for found in (here(), own()):
        if found:
            return found
    if folder().exists():
        raise EngineMissing(_("vLLM's installation was not finished; run it again: courselib install vllm"))
    raise EngineMissing(
        _("vLLM is not installed; install it, in an environment of its own, with: courselib install vllm")
    )


def probe(python: str) -> VllmEnvironment:
    """What an interpreter has of vLLM, without importing it.

    Raises:
        EngineMissing: it cannot be started, or has no vLLM that ``vllm serve`` would start.
    """
    try:
        done = subprocess.run(
            [python, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=True
        )
        whole, cpu = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise EngineMissing(
            _("The interpreter {python}, asked for as vLLM's, cannot be used: {reason}.").format(
                python=python, reason=getattr(error, "strerror", None) or type(error).__name__
            ),
            details=str(getattr(error, "stderr", "") or error),
        ) from None
    return _environment(python, whole, cpu)


def _environment(python: str, whole: str | None, cpu: str | None) -> VllmEnvironment:
    if whole is None:
        text = (
            _("{python} has vllm-cpu, but not under the name that `vllm serve` asks for; use instead: {install}")
            if cpu
            else _("{python} has no vLLM; name another interpreter, or: {install}")
        )
        raise EngineMissing(text.format(python=python, install=INSTALL))
    return VllmEnvironment(python, whole.partition("+")[0], cpu=cpu is not None or "cpu" in whole)


def here() -> VllmEnvironment | None:
    """The environment of this process, if it has vLLM.

    Raises:
        EngineMissing: it has one that ``vllm serve`` would not start.
    """
    from courselib.machine import version

    whole, cpu = version("vllm"), version("vllm-cpu")
    return _environment(sys.executable, whole, cpu) if whole else None


def own() -> VllmEnvironment | None:
    """The course's own environment, if it is finished."""
    try:
        found = VllmEnvironment(**json.loads(stamp().read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return found if Path(found.python).exists() else None


def finish(found: VllmEnvironment) -> None:
    """Write the stamp: whole or not at all."""
    part = stamp().with_suffix(".part")
    part.write_text(json.dumps(asdict(found)))
    part.replace(stamp())
