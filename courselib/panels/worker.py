"""Work beside the kernel's own thread, the same on every front end and every ipykernel.

A plain thread that assigns traits is the one pattern that behaves alike on ipykernel 6, 7.0 and 7.4. Two rules come
with it: updates are coalesced (a browser flooded with them loses the last one for good), and every exception is caught
and shown (a callback's own is seen by nobody).
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable

from courselib.i18n import _

UPDATES_PER_S = 20


def thread(target: Callable[..., None], *arguments: object) -> threading.Thread:
    """A daemon thread, not yet started, that acts for the cell or click now running.

    ipykernel keeps the message it is answering in a context variable (since 7.0); a thread without it cannot change a
    widget: ``LookupError: shell_parent``.
    """
    return threading.Thread(target=contextvars.copy_context().run, args=(target, *arguments), daemon=True)


class Coalescer:
    """Calls ``apply`` at most ``UPDATES_PER_S`` times a second, and always once more after the last change.

    Args:
        apply: shows the state as it is when called; never called twice at the same time, but from any thread.
    """

    def __init__(self, apply: Callable[[], None]) -> None:
        self._apply = apply
        self._lock = threading.RLock()
        self._last = float("-inf")
        self._pending = False
        self._timer: threading.Timer | None = None
        self._error: BaseException | None = None

    def touch(self) -> None:
        """Something has changed: show it now, or as soon as it is time for it."""
        with self._lock:
            self._pending = True
            if self._timer is not None:
                return
            wait_s = 1 / UPDATES_PER_S - (time.monotonic() - self._last)
            if wait_s <= 0:
                self._show()
                return
            self._timer = threading.Timer(wait_s, contextvars.copy_context().run, (self._fire,))
            self._timer.daemon = True
            self._timer.start()

    def flush(self) -> None:
        """Show now what was not shown yet; raises what ``apply`` raised behind our back."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._pending:
                self._show()
            error, self._error = self._error, None
        if error is not None:
            raise error

    def _fire(self) -> None:
        with self._lock:
            if self._timer is not threading.current_thread():
                return  # a flush was faster
            self._timer = None
            try:
                self._show()
            except BaseException as error:  # noqa: BLE001 - raised by the next flush, in a thread that is watched
                self._error = error

    def _show(self) -> None:
        self._pending = False
        self._last = time.monotonic()
        self._apply()


class Worker:
    """Runs one job at a time in a thread.

    Args:
        on_error: called in the thread with what a job raised.
        on_end: called in the thread when a job has ended, in whatever way, and none follows; it must not start another.
    """

    def __init__(self, on_error: Callable[[BaseException], None], on_end: Callable[[], None]) -> None:
        self._on_error = on_error
        self._on_end = on_end
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._waiting: deque[Callable[[], None]] = deque()
        self._ending = False
        self._on_cancel: Callable[[], None] | None = None
        self.error: BaseException | None = None
        self._unraised: BaseException | None = None
        self.cancelled = threading.Event()

    @property
    def busy(self) -> bool:
        """Whether a job is running; what ``on_end`` does is no longer part of it."""
        return self._thread is not None and self._thread.is_alive() and not self._ending

    @property
    def outcome(self) -> str:
        """How the last job ended, for a person: failed, cancelled or done."""
        if self.error is not None:
            return _("failed")
        return _("cancelled") if self.cancelled.is_set() else _("done")

    def start(self, job: Callable[[], None], *, on_cancel: Callable[[], None] | None = None) -> bool:
        """Run ``job``; False, and nothing happens, if one is running already.

        Args:
            job: looks at ``cancelled`` as often as it can.
            on_cancel: called by ``cancel``, to break off what a job waits for.
        """
        # ipykernel 7.0 to 7.3 run clicks on threads of their own, two at a time if need be.
        with self._starting:
            if self.busy:
                return False
            self._begin(job, on_cancel)
        return True

    def follow(self, job: Callable[[], None]) -> None:
        """Run ``job`` now, or after those that run and wait; it never comes to its turn if one of these fails."""
        with self._starting:
            if self.busy:
                self._waiting.append(job)
            else:
                self._begin(job)

    def _begin(self, job: Callable[[], None], on_cancel: Callable[[], None] | None = None) -> None:
        if self._thread is not None:
            self._thread.join()  # a click may come the moment a job's end is shown, before its thread is gone
        self._ending = False
        self.cancelled.clear()
        self.error = self._unraised = None
        self._on_cancel = on_cancel
        self._thread = thread(self._run, job)
        self._thread.start()

    def _run(self, first: Callable[[], None]) -> None:
        job: Callable[[], None] | None = first
        try:
            while job:
                self._do(job)
                job = self._next()
        finally:
            self._ending = True
            self._on_end()

    def _do(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - a thread's exception is otherwise seen by nobody
            # A wait that was broken off on request fails in ways of its own; that is no fault.
            if not self.cancelled.is_set():
                self.error = self._unraised = error
                self._on_error(error)

    def _next(self) -> Callable[[], None] | None:
        """The job that follows; ``None``, and from here on none can, if none waits or one has failed."""
        with self._starting:
            if self.error or not self._waiting:
                self._waiting.clear()
                self._ending = True
                return None
            self.cancelled.clear()  # of those that wait, none was there when Cancel was pressed
            self._on_cancel = None
            return self._waiting.popleft()

    def cancel(self) -> None:
        """Ask the job to end, and forget those that wait; returns at once, and may be called when nothing runs."""
        with self._starting:
            self._waiting.clear()
            self.cancelled.set()
        if self.busy and self._on_cancel:
            with contextlib.suppress(Exception):  # what is to be broken off may just have ended
                self._on_cancel()

    def on_cancel(self, close: Callable[[], None]) -> None:
        """From inside a job: have ``close`` called by ``cancel``, and now if that was called already."""
        self._on_cancel = close
        if self.cancelled.is_set():
            close()

    def wait(self, timeout_s: float = 60) -> None:
        """Wait for the job's end and raise its error.

        An error is raised once: the next call raises only what a later job has raised.

        Raises:
            TimeoutError: it still runs.
        """
        if self._thread:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                raise TimeoutError(
                    _("It still runs after {seconds} s; wait longer, or cancel it.").format(seconds=timeout_s)
                )
        error, self._unraised = self._unraised, None
        if error:
            raise error
