"""One process: started in a group of its own under a guard, logging to a file, ended with all its children."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from courselib.errors import EngineMissing
from courselib.i18n import _
from courselib.processes.log import GrowingLog

_GUARD = Path(__file__).with_name("guard.py")
# Engines make Unix sockets in TMPDIR, vLLM under names of 36 characters; macOS takes paths of 103 bytes, Linux of 107.
_LONGEST_TMPDIR = 103 - len("/cl-12345678/") - 36


class GuardedProcess:
    """A running process, such as an engine, seen through the guard that watches over it.

    Args:
        command: program and arguments; started at once.
        environment: variables added to a copy of ours.
        name: names the log file.
        grace_s: seconds between asking it to stop (TERM) and ending it (KILL).
        own_tmpdir: give it a folder of its own for temporary files, which is removed with it.
        folder: where its log is written, with files that the caller has put there; removed with it.

    Raises:
        EngineMissing: the program does not exist or may not be run.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        name: str,
        grace_s: float = 2.0,
        own_tmpdir: bool = False,
        folder: Path | None = None,
    ) -> None:
        self.command = list(command)
        folder = folder or new_folder()
        self._log = GrowingLog(folder / f"{name}.log")
        # Its own session: an interrupt of the notebook's kernel goes to the kernel's whole group.
        detach: dict[str, Any] = {"creationflags": 0x200} if os.name == "nt" else {"start_new_session": True}
        self._guard: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARD), str(self.log_path), str(grace_s), *self.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **({"TMPDIR": str(folder)} if own_tmpdir else {}), **(environment or {})},
            **detach,
        )
        # Also runs when the interpreter exits or the object is lost (a cell run twice rebinds its variable).
        self._finalizer = weakref.finalize(self, _close, os.getpid(), self._guard, grace_s, self._log)
        try:
            self.pid = self._read_pid()
        except BaseException:  # an interrupt of the cell, too
            self._finalizer()
            raise

    @property
    def log_path(self) -> Path:
        """Where it writes its log, while it runs."""
        return self._log.path

    def _read_pid(self) -> int:
        assert self._guard.stdout is not None and self._guard.stderr is not None
        line = self._guard.stdout.readline()
        self._guard.stdout.close()
        if line.strip():
            # A pipe nobody reads would block its writer once full.
            threading.Thread(target=self._guard.stderr.read, daemon=True).start()
            return int(line)
        reason = self._guard.stderr.read().decode(errors="replace").strip().splitlines()
        self._guard.wait()
        raise EngineMissing(
            _("The program {program} cannot be started: {reason}. Install it, or name another one.").format(
                program=self.command[0], reason=reason[-1] if reason else _("no reason given")
            )
        )

    def returncode(self, wait_s: float = 0) -> int | None:
        """Its exit code once it has ended (128 + n for signal n); waits for that up to ``wait_s``."""
        try:
            return self._guard.wait(wait_s)
        except subprocess.TimeoutExpired:
            return None

    def wait(self) -> int:
        """Wait until it has ended; returns what ``returncode`` then does."""
        return self._guard.wait()

    def logs(self) -> str:
        """All it has written so far; bytes that are no text are shown as escapes."""
        return self._log.text()

    def rss_bytes(self) -> int:
        """Resident memory in bytes of it and its children, as the operating system counts it; 0 once ended."""
        return sum(info.rss for info in self._memory())

    def own_bytes(self) -> int:
        """Bytes that are free again once it has ended: as ``rss_bytes``, without pages of files, such as weights."""
        return sum(info.rss - getattr(info, "shared", 0) for info in self._memory())

    def shares(self) -> tuple[int | None, int | None]:
        """Bytes that are its own alone (USS), and those with its share of pages that others have, too (PSS).

        Of it and its children; ``None`` where the system does not report them: PSS is known on Linux alone.
        """
        found = self._memory(full=True)
        uss, pss = ([getattr(info, name, None) for info in found] for name in ("uss", "pss"))
        return _sum(uss), _sum(pss)

    def _memory(self, *, full: bool = False) -> list[Any]:
        found = []
        with contextlib.suppress(psutil.Error):
            engine = psutil.Process(self.pid)
            for process in (engine, *engine.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    found.append(process.memory_full_info() if full else process.memory_info())
        return found

    def stop(self) -> None:
        """End it and everything it started; returns when they are gone. May be called again.

        In a forked child this does nothing: the process belongs to the parent.
        """
        self._finalizer()


def _sum(sizes: list[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if known and len(known) == len(sizes) else None


def new_folder() -> Path:
    """A new folder for one process's log and files; only this user may look into it."""
    return Path(tempfile.mkdtemp(prefix="cl-", dir=short_folder()))


def short_folder() -> str:
    """Where to make temporary folders: /tmp where the usual place has too long a path for sockets."""
    usual = tempfile.gettempdir()
    return "/tmp" if len(os.fsencode(usual)) > _LONGEST_TMPDIR and os.access("/tmp", os.W_OK | os.X_OK) else usual  # noqa: S108


def _close(owner: int, guard: subprocess.Popen[bytes], grace_s: float, log: GrowingLog) -> None:
    """Ask the guard to end what it started; end all by force should it not manage. What the log holds is kept."""
    if os.getpid() != owner:  # a forked child has inherited the object, not the process
        return
    assert guard.stdin is not None
    with contextlib.suppress(OSError):
        guard.stdin.write(b"stop")
        guard.stdin.flush()
    with contextlib.suppress(OSError):
        guard.stdin.close()
    try:
        guard.wait(grace_s + 3)
    except subprocess.TimeoutExpired:
        _kill_below(guard.pid)
        guard.kill()
        guard.wait()
    log.text()
    shutil.rmtree(log.path.parent, ignore_errors=True)


def _kill_below(pid: int) -> None:
    """KILL all that a process has started; the process itself is still there to be asked for it."""
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                process.kill()
