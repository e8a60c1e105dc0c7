"""A learner's cells in a confined process, and the values that calls of their function gave."""

from __future__ import annotations

import json
import os
import platform
import selectors
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from courselib.calls import Outcome, filled
from courselib.errors import CourseError
from courselib.grading import family, sandbox
from courselib.i18n import _

# The longest line that is read, and how deep its values may lie: what is beyond is no answer to any exercise.
LINE_BYTES, DEEPEST = 2**20, 40
LOOK_S = 0.1


@dataclass(frozen=True)
class Limits:
    """What one answer may take.

    Args:
        start_s: until its cells have run.
        call_s: for one call.
        total_s: for all of it.
        memory_bytes: of all its processes together.
        processes: threads count, too.
        file_bytes: of the largest file.
        files: in its folders.
    """

    start_s: float = 20.0
    call_s: float = 10.0
    total_s: float = 60.0
    memory_bytes: int = 2**30
    processes: int = 64
    file_bytes: int = 32 * 2**20
    files: int = 10_000

    def for_worker(self) -> dict[str, int]:
        """Limits that the worker puts on itself, by the system's names for them."""
        return {
            "AS": 2 * self.memory_bytes,
            "CPU": int(self.total_s) + 1,
            "NPROC": self.processes,
            "FSIZE": self.file_bytes,
            "NOFILE": 256,
            "CORE": 0,
        }


class Stopped(Exception):
    """A worker was stopped, or ended; the message is a sentence for the learner."""


class Unfinished(Exception):
    """The answer is still the stub."""


@dataclass
class Confined:
    """A worker with a learner's cells; use it as a context.

    Args:
        answer: the learner's cell.
        function: the name that is called afterwards.
        before: the course's cells, run before it.
        own: the learner's other cells, of which definitions and imports are run.
        limits: what it may take.
        place: a number that no other worker has at the same time.
        socket: a Unix socket that it may reach.
        port: at which port of its own loopback.
        engine: url and key of the engine that stands behind the socket, for cells that launch one.
        models: the folder with the course's models.
        is_unsafe: whether it runs with limits only.
    """

    answer: str
    function: str
    before: Sequence[str] = ()
    own: Sequence[str] = ()
    limits: Limits = field(default_factory=Limits)
    place: int = 0
    socket: Path | None = None
    port: int = 8000
    engine: dict[str, Any] | None = None
    models: Path = Path("/nonexistent")
    is_unsafe: bool = False
    _buffer: bytes = b""

    def __enter__(self) -> Confined:
        """Start the worker and run the cells.

        Raises:
            Unfinished: the answer is still the stub.
            Stopped: a cell raised an exception, or took more than it may.
        """
        self._until = time.monotonic() + self.limits.total_s
        if self.is_unsafe:
            self._cage = sandbox.start_bare()
        else:
            self._cage = sandbox.start(self.place, self.socket, models=self.models)
        self._process = self._cage.process
        self._over, self._why, self._has_spoken = threading.Event(), "", False
        self._watching = threading.Thread(target=self._watch, daemon=True)
        self._watching.start()
        try:
            self._begin()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        """End the worker and all that it has started."""
        self._end()

    def call(self, calls: Sequence[Sequence[Any]]) -> list[Outcome]:
        """Make calls; those after one that fails are given its outcome."""
        done: list[Outcome] = []
        try:
            self._send(list(calls))
            while len(done) < len(calls):
                done.append(_outcome(self._line(self.limits.call_s)))
                if done[-1].error or done[-1].unfinished:
                    break
        except Stopped as stopped:
            done.append(Outcome(stopped=str(stopped)))
        return filled(done, len(calls))

    def _begin(self) -> None:
        relay = {"port": self.port, "path": sandbox.SOCKET if not self.is_unsafe else str(self.socket)}
        limits = self.limits.for_worker()
        if self.is_unsafe or _counts_all_processes():
            # The instructor's own among them, so that this worker's are counted from outside alone.
            del limits["NPROC"]
        job = {"before": list(self.before), "own": list(self.own), "answer": self.answer, "function": self.function}
        self._send(job | {"limits": limits, "relay": relay if self.socket else None, "engine": self.engine})
        told = self._line(self.limits.start_s)
        if told.get("unfinished"):
            raise Unfinished
        if not told.get("ready"):
            raise Stopped(_("The cell with your answer raised {error}").format(error=str(told.get("failed"))[:500]))

    def _send(self, message: Any) -> None:
        assert self._process.stdin
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._stopped() from error

    def _line(self, seconds: float) -> dict[str, Any]:
        """The next line of the worker, as a dictionary.

        Raises:
            Stopped: none came in time, or the worker had to be stopped.
        """
        until = min(time.monotonic() + seconds, self._until)
        while b"\n" not in self._buffer:
            if len(self._buffer) > LINE_BYTES:
                raise Stopped(_("It returned more than a megabyte."))
            if time.monotonic() > until:
                raise Stopped(_took(seconds if until < self._until else self.limits.total_s))
            self._buffer += self._read(until)
        line, _newline, self._buffer = self._buffer.partition(b"\n")
        return _parsed(line)

    def _read(self, until: float) -> bytes:
        """What the worker has said by then; empty where that is nothing."""
        assert self._process.stdout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if selector.select(max(0.0, until - time.monotonic())):
                data = os.read(self._process.stdout.fileno(), LINE_BYTES)
                if not data:
                    raise self._stopped()
                self._has_spoken = True
                return data
        return b""

    def _watch(self) -> None:
        """Stop the worker where it takes more than it may, whatever it does and whoever waits for it meanwhile."""
        limits = self.limits
        while not self._over.wait(LOOK_S):
            memory, tasks = family.taken(self._process.pid)
            if memory > limits.memory_bytes:
                text = _("It took more than {n} MiB of memory and was stopped.")
                self._why = text.format(n=limits.memory_bytes // 2**20)
            elif tasks > limits.processes + family.CONFINING:
                self._why = _("It started more than {n} processes and was stopped.").format(n=limits.processes)
            elif self._cage.files() > limits.files:
                self._why = _("It made more than {n} files and was stopped.").format(n=limits.files)
            elif time.monotonic() > self._until:
                self._why = _took(limits.total_s)
            if self._why:
                self._cage.kill()
                return

    def _stopped(self) -> Exception:
        """Why nothing more comes from the worker."""
        self._over.set()
        self._watching.join()
        if self._why or self._has_spoken:
            return Stopped(self._why or _("Your code ended the program that called it."))
        assert self._process.stderr
        os.set_blocking(self._process.stderr.fileno(), False)
        told = (self._process.stderr.read() or b"").decode(errors="replace").strip()
        if told:
            return CourseError(_("A worker could not be started; its own words are below."), details=told[-2000:])
        return Stopped(_("Your code ended the program that called it."))

    def _end(self) -> None:
        self._over.set()
        self._watching.join()
        self._cage.end()


def _took(seconds: float) -> str:
    return _("It took longer than {n:.0f} seconds and was stopped.").format(n=seconds)


def _counts_all_processes() -> bool:
    """Whether Linux counts a user's processes of all namespaces together, as it did up to 5.13."""
    version = tuple(int(part) for part in platform.release().split(".")[:2] if part.isdigit())
    return os.geteuid() != 0 and version < (5, 14)


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or _depth(value) > DEEPEST:
        raise Stopped(_("It returned a value that is no answer: too deep, too large, or no JSON."))
    return value


def _depth(value: Any) -> int:
    deepest, left = 0, [(value, 1)]
    while left:
        each, depth = left.pop()
        deepest = max(deepest, depth)
        if depth <= DEEPEST and isinstance(each, dict | list):
            left += [(inner, depth + 1) for inner in (each.values() if isinstance(each, dict) else each)]
    return deepest


def _outcome(told: dict[str, Any]) -> Outcome:
    """An outcome from what a worker says, which may be anything."""
    return Outcome(told.get("value"), str(told.get("error") or "")[:500], told.get("unfinished") is True)
