"""One engine process: started in a group of its own under a guard, logging to a file, ended with all its children."""

from __future__ import annotations

import contextlib
import os
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

_GUARD = Path(__file__).with_name("guard.py")


class EngineProcess:
    """A running engine, seen through the guard that watches over it.

    Args:
        command: program and arguments; started at once.
        environment: variables added to a copy of ours.
        name: names the log file.
        grace_s: seconds between asking the engine to stop (TERM) and ending it (KILL).

    Raises:
        EngineMissing: the program does not exist or may not be run.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, name: str, grace_s: float = 2.0
    ) -> None:
        self.command = list(command)
        self._grace_s = grace_s
        self._folder = tempfile.TemporaryDirectory(prefix="courselib-", ignore_cleanup_errors=True)
        self.log_path = Path(self._folder.name) / f"{name}.log"
        self._last_words = ""
        # Its own session: an interrupt of the notebook's kernel goes to the kernel's whole group.
        detach: dict[str, Any] = {"creationflags": 0x200} if os.name == "nt" else {"start_new_session": True}
        self._guard: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARD), str(self.log_path), str(grace_s), *self.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # What an engine that is killed leaves of temporary files goes away with our folder.
            env={**os.environ, "TMPDIR": self._folder.name, **(environment or {})},
            **detach,
        )
        self.pid = self._read_pid()
        # Also runs when the interpreter exits or the object is lost (a cell run twice rebinds its variable).
        self._finalizer = weakref.finalize(self, _close, self._guard, grace_s, self.pid)

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
        """The engine's exit code once it has ended (128 + n for signal n); waits for that up to ``wait_s``."""
        try:
            return self._guard.wait(wait_s)
        except subprocess.TimeoutExpired:
            return None

    def wait(self) -> int:
        """Wait until the engine has ended; returns what ``returncode`` then does."""
        return self._guard.wait()

    def logs(self) -> str:
        """All the engine has written so far; bytes that are no text are shown as escapes."""
        with contextlib.suppress(FileNotFoundError):
            self._last_words = self.log_path.read_bytes().decode("utf-8", errors="backslashreplace")
        return self._last_words

    def rss_bytes(self) -> int:
        """Resident memory in bytes of the engine and its children, as the operating system counts it; 0 once ended."""
        total = 0
        with contextlib.suppress(psutil.Error):
            engine = psutil.Process(self.pid)
            for process in (engine, *engine.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    total += process.memory_info().rss
        return total

    def stop(self) -> None:
        """End the engine and everything it started; returns when they are gone. May be called again."""
        self._finalizer()
        self.logs()
        self._folder.cleanup()


def _close(guard: subprocess.Popen[bytes], grace_s: float, engine_pid: int) -> None:
    """Let go of the guard, which ends the engine; end both by force should it not manage."""
    assert guard.stdin is not None
    with contextlib.suppress(OSError):
        guard.stdin.write(b"stop")  # so it knows that we live, and need the log
        guard.stdin.flush()
    with contextlib.suppress(OSError):
        guard.stdin.close()
    try:
        guard.wait(grace_s + 3)
    except subprocess.TimeoutExpired:
        for pid in (engine_pid, guard.pid):
            with contextlib.suppress(psutil.Error):
                psutil.Process(pid).kill()
        guard.wait()
