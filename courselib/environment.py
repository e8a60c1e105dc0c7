"""What this machine is and has: the facts that decide how engines run here.

Everything is looked up when asked for, never at import, and nothing that is missing is an error.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from courselib import __version__
from courselib.i18n import _

CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "neon", "asimd", "bf16")
PACKAGES = ("courselib", "xllamacpp", "openai", "huggingface_hub", "ipywidgets", "anywidget", "plotly", "jupyterlab")
PROBE_TIMEOUT_S = 10


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU: its name and memory in MiB, as the driver tells."""

    name: str
    memory_mib: int


def place() -> str:
    """Where we run: ``"colab"``, ``"binder"``, ``"vscode"``, ``"jupyter"`` or ``"terminal"``."""
    if "COLAB_RELEASE_TAG" in os.environ or "google.colab" in sys.modules:
        return "colab"
    if "BINDER_SERVICE_HOST" in os.environ or "BINDER_REPO_URL" in os.environ:
        return "binder"
    if "VSCODE_PID" in os.environ:
        return "vscode"
    return "jupyter" if "ipykernel" in sys.modules else "terminal"


def cores() -> int:
    """Cores this process may use; in a container often fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _colon, value in (line.partition(":") for line in lines)}


def cpu_name() -> str:
    """The processor's name, as far as the system tells it."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def cpu_features() -> list[str]:
    """Vector instructions that llama.cpp and vLLM have kernels for, as the processor announces them (Linux)."""
    info = _cpuinfo()
    flags = set((info.get("flags") or info.get("Features") or "").split())
    return [feature for feature in CPU_FEATURES if feature in flags]


def amx_granted() -> bool:
    """Whether the kernel lets this process use AMX tiles.

    A processor may announce AMX while a virtual machine does not grant it: then a ``-march=native`` build of
    llama.cpp dies with SIGSEGV at its first token. Asks with arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA), see
    Linux' Documentation/arch/x86/xstate.rst.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    arch_prctl, request_permission, tile_data = 158, 0x1023, 18
    return bool(ctypes.CDLL(None).syscall(arch_prctl, request_permission, tile_data) == 0)


def _ask(*command: str, once: bool = False) -> str | None:
    """A program's answer, or ``None`` when it is missing, fails or hangs; ``once`` if it cannot change meanwhile."""
    program = shutil.which(command[0])
    if not program:
        return None
    try:
        return (_answer_once if once else _answer)(program, *command[1:])
    except (OSError, subprocess.SubprocessError):
        return None


def _answer(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=True)
    return done.stdout.strip()


# What fails is asked again: ``cache`` keeps no exceptions.
_answer_once = cache(_answer)


def gpus() -> list[Gpu]:
    """NVIDIA GPUs, empty where there is none or no driver."""
    answer = _ask("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits", once=True)
    rows = [line.rsplit(",", 1) for line in (answer or "").splitlines()]
    return [Gpu(name.strip(), int(memory)) for name, memory in rows if memory.strip().isdigit()]


def compute_capability() -> float | None:
    """CUDA compute capability of the least of the GPUs; ``None`` where there is none or the driver does not tell."""
    answer = _ask("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader", once=True)
    numbers = re.findall(r"^\d+\.\d+$", answer or "", re.MULTILINE)
    return min(map(float, numbers), default=None)


def docker() -> str:
    """``"missing"``, ``"not running"`` (the client without a server), or the server's version."""
    if not shutil.which("docker"):
        return "missing"
    return _ask("docker", "version", "--format", "{{.Server.Version}}") or "not running"


def version(package: str) -> str | None:
    """An installed package's version; the package is not imported."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def setup() -> None:
    """First cell of every lesson: prepares the front end and says in one line where we are."""
    import psutil

    # A kernel started outside its environment's shell does not find the environment's programs, as in `!courselib`.
    if not shutil.which("courselib"):
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

    if place() == "colab":
        from google.colab import output

        output.enable_custom_widget_manager()
    graphics = ", ".join(gpu.name for gpu in gpus()) or _("no GPU")
    print(
        _("courselib {version} on Python {python}: {cores} cores, {memory} GiB of memory, {gpu}").format(
            version=__version__,
            python=platform.python_version(),
            cores=cores(),
            memory=round(psutil.virtual_memory().total / 2**30),
            gpu=graphics,
        )
    )
