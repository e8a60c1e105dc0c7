"""What a process and all that it has started take of this machine."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

# Processes of a worker's family that confine it.
CONFINING = 2


def taken(pid: int) -> tuple[int, int]:
    """Bytes of memory and threads of a process and of all that it has started."""
    memory, threads = 0, 0
    for each in _family(pid):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(each)
            memory += process.memory_info().rss
            threads += process.num_threads()
    return memory, threads


def _family(pid: int) -> Iterator[int]:
    if sys.platform != "linux":
        yield pid
        with contextlib.suppress(psutil.Error):
            yield from (each.pid for each in psutil.Process(pid).children(recursive=True))
        return
    # Read from each parent: to look through all processes ten times a second would take a tenth of a core.
    left = [pid]
    while left:
        each = left.pop()
        yield each
        with contextlib.suppress(OSError):
            for thread in Path(f"/proc/{each}/task").iterdir():
                left += map(int, (thread / "children").read_text().split())
