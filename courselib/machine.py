"""What this machine is and has: the facts that decide how engines run here.

Everything is looked up when asked for, never at import, and nothing that is missing is an error.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path

from courselib import cgroup

CPU_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "neon", "asimd", "bf16")
PROBE_TIMEOUT_S = 10
CPUS = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Gpu:
    """A GPU: its name, and its own memory in MiB; ``None`` where that is not known, or is the system's memory."""

    name: str
    memory_mib: int | None = None


@dataclass(frozen=True)
class Memory:
    """Memory for this process and others, in bytes.

    Args:
        total: the system's, or less where a container may use less.
        available: what of that can still be taken.
        limited: whether a limit of a container is what decides on ``total``.
    """

    total: int
    available: int
    limited: bool


_freed_soon: ContextVar[int] = ContextVar("freed_soon", default=0)


@contextlib.contextmanager
def freed_soon(size: int) -> Iterator[None]:
    """Within it, ``size`` bytes count as available that the caller will free before they are needed."""
    token = _freed_soon.set(size)
    try:
        yield
    finally:
        _freed_soon.reset(token)


def memory() -> Memory:
    """Memory that this process may use: the system's, within the limits of its container; see also ``freed_soon``."""
    import psutil

    system, limits = psutil.virtual_memory(), cgroup.memory_limits()
    total = min([system.total, *(limit.limit for limit in limits)])
    available = min([system.available, *(limit.free for limit in limits)])
    return Memory(total, min(total, available + _freed_soon.get()), limited=total < system.total)


def usable_cpus() -> list[int]:
    """The logical processors that this process may run on, by the system's numbers."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def cores() -> int:
    """Cores this process can keep busy: those it may run on, or fewer where a container's quota of time is less.

    A quota that ends within a core is rounded up: the time of 1.5 cores counts as 2.
    """
    quota = cgroup.cpu_quota()
    return len(usable_cpus()) if quota is None else min(len(usable_cpus()), math.ceil(quota))


def fast_cores() -> int:
    """As ``cores``, but two logical processors of one core count once, and Apple's efficiency cores not at all."""
    return min(cores(), _performance_cores() or _physical_cores())


def _performance_cores() -> int | None:
    answer = _ask("sysctl", "-n", "hw.perflevel0.physicalcpu", once=True) if _is_mac() else None
    return int(answer) if answer and answer.isdigit() else None


def _physical_cores() -> int:
    import psutil

    try:
        return len({(CPUS / f"cpu{n}/topology/thread_siblings_list").read_text() for n in usable_cpus()})
    except OSError:
        return psutil.cpu_count(logical=False) or len(usable_cpus())


def _is_mac() -> bool:
    return platform.system() == "Darwin"


@cache
def _cpuinfo() -> dict[str, str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _colon, value in (line.partition(":") for line in lines)}


def cpu_name() -> str:
    """The processor's name, as the system reports it."""
    brand = _ask("sysctl", "-n", "machdep.cpu.brand_string", once=True) if _is_mac() else None
    return brand or _cpuinfo().get("model name") or platform.processor() or platform.machine()


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
    """NVIDIA GPUs that this process may use, empty where there is none or no driver."""
    answer = _ask("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits", once=True)
    rows = [line.rsplit(",", 1) for line in (answer or "").splitlines() if "," in line]
    listed = [Gpu(name.strip(), int(memory) if memory.strip().isdigit() else None) for name, memory in rows]
    visible = visible_gpus()
    if visible is None:
        return listed
    # A slice of a GPU (MIG) has a part of its memory.
    return [
        replace(listed[place], memory_mib=None) if entry.startswith("MIG-") else listed[place]
        for entry, place in visible.items()
        if place < len(listed)
    ]


def visible_gpus() -> dict[str, int] | None:
    """What ``CUDA_VISIBLE_DEVICES`` leaves to this process: each entry, and its GPU's place in the driver's list.

    ``None`` where the variable is not set: all. CUDA takes numbers, beginnings of UUIDs, and slices of a GPU (MIG), up
    to the first entry that names none; an empty text or ``-1`` hides all. Numbers are taken to be in the driver's
    order, which on GPUs of several kinds needs ``CUDA_DEVICE_ORDER=PCI_BUS_ID``.
    ``NVIDIA_VISIBLE_DEVICES`` is for the program that starts a container: what it hides, the driver does not list.
    """
    asked = os.environ.get("CUDA_VISIBLE_DEVICES")
    if asked is None:
        return None
    names = _gpu_names() if asked.strip() else []
    visible = {}
    for entry in map(str.strip, asked.split(",")):
        places = [n for n, known in enumerate(names) if _is_named(entry, known)]
        if not places:
            break
        visible[entry] = places[0]
    return visible


def _gpu_names() -> list[list[str]]:
    """For each GPU its number, its UUID, and the UUIDs of its slices."""
    names: list[list[str]] = []
    for line in (_ask("nvidia-smi", "-L", once=True) or "").splitlines():
        uuid = re.findall(r"UUID: ([^)]+)", line)
        if number := re.match(r"GPU (\d+):", line):
            names.append([number[1], *uuid])
        elif names:
            names[-1] += uuid
    return names


def _is_named(entry: str, names: list[str]) -> bool:
    return entry in names or (entry.startswith(("GPU-", "MIG-")) and any(name.startswith(entry) for name in names))


def apple_gpu() -> Gpu | None:
    """The GPU of Apple silicon, which llama.cpp uses through Metal; its memory is the system's."""
    return Gpu(cpu_name()) if _is_mac() and platform.machine() == "arm64" else None


def compute_capability() -> float | None:
    """The lowest CUDA compute capability of the GPUs; ``None`` where there is none or the driver does not report it."""
    answer = _ask("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader", once=True)
    numbers = [line.strip() for line in (answer or "").splitlines()]
    visible = visible_gpus()
    if visible is not None:
        numbers = [numbers[place] for place in visible.values() if place < len(numbers)]
    return min((float(number) for number in numbers if re.fullmatch(r"\d+\.\d+", number)), default=None)


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
