"""A program that serves on a port of this machine: started in a folder of its own, and tried again on another port."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from courselib.errors import EngineDied, StartTimeout
from courselib.i18n import _
from courselib.processes.ports import free_port
from courselib.processes.process import GuardedProcess, new_folder

if TYPE_CHECKING:
    from typing_extensions import Self

START_TIMEOUT_S = 60.0
POLL_S = 0.05
# Another program may take the port between our look and the start.
TRIES = 3


class Service:
    """What such a program is to its user: usable with ``with``, or ended by ``stop``, and by the kernel's end."""

    _process: GuardedProcess

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    @property
    def folder(self) -> Path:
        """Where all its files are."""
        return self._process.log_path.parent

    def stop(self) -> None:
        """End it and remove its folder; may be called again."""
        self._process.stop()


def start_service(
    name: str,
    *,
    write: Callable[[Path, int], None],
    command: Callable[[Path, int], Sequence[str]],
    is_ready: Callable[[Path, int], bool],
    environment: Mapping[str, str] | None = None,
) -> tuple[GuardedProcess, int]:
    """Start a program on a free port, and wait until it serves.

    Args:
        name: of the program, for a person; in small letters it names the log.
        write: puts the program's files into its folder; it is given the port, too.
        command: the program and its arguments, from the folder and the port.
        is_ready: whether this very program answers on the port; it waits two seconds at most.
        environment: variables added to a copy of ours.

    Returns:
        The process, whose log lies in the folder, and the port.

    Raises:
        EngineMissing: the program cannot be run.
        EngineDied, StartTimeout: it does not start.
    """
    for last in (False,) * (TRIES - 1) + (True,):
        folder, port = new_folder(), free_port()
        try:
            write(folder, port)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        process = GuardedProcess(command(folder, port), environment=environment, name=name.lower(), folder=folder)
        try:
            if _wait(name, process, lambda folder=folder, port=port: is_ready(folder, port), last):  # type: ignore[misc]
                break
        except BaseException:  # an interrupt of the cell, too
            process.stop()
            raise
    return process, port


def _wait(name: str, process: GuardedProcess, is_ready: Callable[[], bool], last: bool) -> bool:
    """Wait until it serves; whether it does, where another try is left."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if (code := process.returncode(POLL_S)) is not None:
            log = process.logs()
            process.stop()
            if "address already in use" in log.lower() and not last:
                return False
            text = _("{program} ended with exit code {code}; the details show its log.")
            raise EngineDied(text.format(program=name, code=code), details=log[-2000:])
        if is_ready():
            return True
    text = _("{program} was not ready after {n:g} s; the machine may be too busy. Try again.")
    raise StartTimeout(text.format(program=name, n=START_TIMEOUT_S), details=process.logs()[-2000:])
