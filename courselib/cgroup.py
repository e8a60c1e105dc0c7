"""What this process may use of its machine, where that is less than all: control groups and JupyterHub's variables.

Containers are limited by control groups: a quota of processor time and a limit of memory, which neither the processor
affinity nor the totals of the system show. A group is limited by all groups above it, so each of them is read, as far
as they can be seen from here. Versions 1 and 2, also side by side.
Source: Linux' Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst and scheduler/sched-bwc.rst.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

Number = TypeVar("Number", int, float)
# Where the system's files are; tests put a tree of their own here.
ROOT = Path("/")
# Version 1 writes the largest number of whole pages for "no limit".
UNLIMITED = 1 << 62


@dataclass(frozen=True)
class MemoryLimit:
    """A limit of memory, and what counts against it, in bytes.

    ``used`` leaves out what the system drops by itself when memory runs short: files that were read and not used since.
    """

    limit: int
    used: int

    @property
    def free(self) -> int:
        """Bytes left."""
        return max(0, self.limit - self.used)


def cpu_quota() -> float | None:
    """Processor time this process may use, in cores (0.5 is half of one); ``None`` where it is not limited."""
    quotas = [quota for folder in _folders("cpu") if (quota := _quota(folder)) is not None]
    return min(quotas, default=None) or _from_hub("CPU_LIMIT", float)


def memory_limits() -> list[MemoryLimit]:
    """The limits of memory on this process; empty where there is none."""
    limits = [limit for folder in _folders("memory") if (limit := _memory_limit(folder)) is not None]
    told = _from_hub("MEM_LIMIT", int)
    return limits or ([MemoryLimit(told, _resident())] if told else [])


def _folders(controller: str) -> Iterator[Path]:
    """The folders of this process's groups that have the controller, and of all groups above them."""
    groups = _groups()
    for root, mount, name in _mounts(controller):
        try:
            below = PurePosixPath(groups[name]).relative_to(root)
        except (KeyError, ValueError):  # out of sight, as from inside of a container: what is mounted is all there is
            below = PurePosixPath()
        folder = ROOT / mount.lstrip("/")
        for part in (below, *below.parents) if ".." not in below.parts else [PurePosixPath()]:
            yield folder / part


def _groups() -> dict[str, str]:
    """The path of this process's group in each hierarchy: by controller in version 1, under ``""`` in version 2."""
    lines = [line.split(":", 2) for line in _lines("proc/self/cgroup")]
    return {name: path for _number, names, path in lines for name in names.split(",")}


def _mounts(controller: str) -> Iterator[tuple[str, str, str]]:
    """Where hierarchies are mounted that may have the controller: the group shown there, the folder, and the name."""
    for line in _lines("proc/self/mountinfo"):
        before, _dash, after = line.partition(" - ")
        root, mount = before.split()[3:5]
        kind, _source, options = after.split()[:3]
        if kind == "cgroup2":
            yield root, mount, ""
        elif kind == "cgroup" and controller in options.split(","):
            yield root, mount, controller


def _lines(path: str | Path) -> list[str]:
    try:
        return (ROOT / path).read_text().splitlines()
    except OSError:
        return []


def _quota(folder: Path) -> float | None:
    with contextlib.suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text().split()
        return int(quota) / int(period)  # "max" is no number: no limit
    with contextlib.suppress(OSError, ValueError):
        quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(quota) / int(period) if int(quota) > 0 else None
    return None


def _memory_limit(folder: Path) -> MemoryLimit | None:
    for limit_file, used_file, dropped in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        with contextlib.suppress(OSError, ValueError):
            limit = int((folder / limit_file).read_text())
            if limit >= UNLIMITED:
                return None
            used = int((folder / used_file).read_text())
            statistics = dict(line.split() for line in _lines(folder / "memory.stat"))
            return MemoryLimit(limit, max(0, used - int(statistics.get(dropped, 0))))
    return None


def _from_hub(variable: str, number: Callable[[str], Number]) -> Number | None:
    """A limit that JupyterHub passes to its servers, for where control groups do not show it."""
    with contextlib.suppress(KeyError, ValueError):
        value = number(os.environ[variable])
        return value if "JUPYTERHUB_USER" in os.environ and value > 0 else None
    return None


def _resident() -> int:
    """Bytes of memory that this user's processes have."""
    import psutil

    total, user = 0, os.getuid()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.uids().real == user:
                total += process.memory_info().rss
    return total
