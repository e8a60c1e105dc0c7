"""Start one server, watch it and end it, beside the kernel's own thread; nothing here is seen on a page."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

from courselib.engines.launcher import launch
from courselib.engines.server import Server
from courselib.i18n import _
from courselib.panels.desk_facts import Seen
from courselib.panels.state import DeskState
from courselib.panels.worker import Coalescer, Worker, thread

WATCH_PERIOD_S = 1.0
# How long a start waits for the end of what has to be gone before.
BEFORE_WAIT_S = 30.0


class Cancelled(Exception):
    """A start was broken off on request."""


class ServerKeeper:
    """Keeps one server of an engine.

    Args:
        engine: its name.
        look: sees how the server stands; called once a second while it runs.
        on_server: called with the server once it runs, and with ``None`` before it is ended or when it is gone.
        drawing: told of each change.
    """

    def __init__(
        self,
        engine: str,
        look: Callable[[Server], Seen],
        on_server: Callable[[Server | None], None],
        drawing: Coalescer,
    ) -> None:
        self.server: Server | None = None
        self.seen, self.phase, self.elapsed_s = Seen(), "", 0.0
        self.fault: BaseException | None = None
        self._engine, self._look, self._on_server, self._drawing = engine, look, on_server, drawing
        self._doing = self._outcome = DeskState.NOT_STARTED
        self._before: Sequence[ServerKeeper] = ()
        self._closed = False
        self._worker = Worker(self._failed, self._ended)

    @property
    def is_busy(self) -> bool:
        """Whether there is a server, or one is starting or being ended."""
        return bool(self.server) or self._worker.busy

    @property
    def state(self) -> DeskState:
        """How the server stands."""
        if self._worker.busy:
            return self._doing
        return DeskState.RUNNING if self.server else self._outcome

    def start(self, settings: dict[str, Any], before: Sequence[ServerKeeper] = ()) -> bool:
        """Begin to start the server; False, and nothing happens, if there is one or something is under way.

        Args:
            settings: as ``launch`` takes them.
            before: those whose server must be gone first, since both may not fit into memory.
        """
        if self.is_busy:
            return False
        self._before = before
        return self._begin(DeskState.STARTING, lambda: self._launch(settings))

    def stop(self) -> None:
        """Begin to end the server, or to break off its start; nothing happens where there is neither."""
        if self._worker.busy:
            if self._doing is DeskState.STARTING:
                self._doing = DeskState.STOPPING
                self._worker.cancel()
                self._drawing.touch()
        elif self.server:
            self._begin(DeskState.STOPPING, self._end)

    def close(self) -> None:
        """End the server for good."""
        self._closed = True
        self.stop()

    def wait(self, timeout_s: float) -> None:
        """Wait until a start or stop that is under way is done; raises its error, once."""
        self._worker.wait(timeout_s)

    def forget_outcome(self) -> None:
        """Other settings are chosen: how the last start ended says nothing of them."""
        if not self._worker.busy and not self.server:
            self.fault, self._outcome = None, DeskState.NOT_STARTED

    def _begin(self, doing: DeskState, job: Callable[[], None]) -> bool:
        self._doing, self.fault = doing, None
        begun = self._worker.start(job)
        self._drawing.touch()
        self._drawing.flush()  # a button that still looks as if it could be pressed is pressed again
        return begun

    # In the worker.

    def _launch(self, settings: dict[str, Any]) -> None:
        self.phase, self.elapsed_s, self.seen = "", 0.0, Seen()
        for each in self._before:
            self._in_phase(_("waiting for the end of the earlier server"), 0.0)
            with contextlib.suppress(Exception):  # what went wrong there is shown there
                each.wait(BEFORE_WAIT_S)
        self.phase = ""
        watch: dict[str, Any] = {"on_wait": self._waited, "on_phase": self._in_phase, "on_note": lambda _note: None}
        server = launch(self._engine, **watch, **settings)  # its notes stand with its command
        self.server = server
        if not self._worker.cancelled.is_set():
            self._on_server(server)
            thread(self._watch, server).start()

    def _waited(self, elapsed_s: float) -> None:
        if self._worker.cancelled.is_set():
            raise Cancelled
        self.elapsed_s = elapsed_s
        self._drawing.touch()

    def _in_phase(self, phase: str, elapsed_s: float) -> None:
        self.phase = phase
        self._waited(elapsed_s)

    def _end(self) -> None:
        """Those who ask the server learn first that it is gone, so that its end is no fault of theirs."""
        server, self.server = self.server, None
        self._outcome = DeskState.STOPPED
        if server:
            self._on_server(None)
            server.stop()

    def _failed(self, error: BaseException) -> None:
        self.fault, self._outcome = error, DeskState.FAILED

    def _ended(self) -> None:
        """The worker's last act. Stop may have been pressed at the very moment of the first token."""
        if self._worker.cancelled.is_set() or self._closed:
            self._end()
        self._drawing.touch()
        self._drawing.flush()

    # Beside it, while the server runs.

    def _watch(self, server: Server) -> None:
        pause = threading.Event()
        while self.server is server:
            try:
                self.seen = self._look(server)
                self.fault = None
            except Exception as error:  # noqa: BLE001 - a thread's exception is otherwise seen by nobody
                if self.server is server:
                    self.fault = error
                    self._note_death(server)
            self._drawing.touch()
            pause.wait(WATCH_PERIOD_S)

    def _note_death(self, server: Server) -> None:
        """A server that is only too busy to answer keeps its Stop button."""
        if not server.is_running():
            self.server, self._outcome = None, DeskState.FAILED
            self._on_server(None)
            server.stop()
