"""Work beside the kernel's own thread, the same on every front end and every ipykernel.

A plain thread that assigns traits is the one pattern that behaves alike on ipykernel 6, 7.0 and 7.4. Two rules come
with it: updates are coalesced (a browser flooded with them loses the last one for good), and every exception is caught
and shown (a callback's own is seen by nobody).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

UPDATES_PER_S = 20


class Coalescer:
    """Calls ``apply`` at most ``UPDATES_PER_S`` times a second; ``flush`` makes sure of the last one."""

    def __init__(self, apply: Callable[[], None]) -> None:
        self._apply = apply
        self._last = 0.0
        self._pending = False

    def touch(self) -> None:
        """Something has changed."""
        self._pending = True
        if time.monotonic() - self._last >= 1 / UPDATES_PER_S:
            self.flush()

    def flush(self) -> None:
        """Show what has changed and was not shown yet."""
        if self._pending:
            self._pending = False
            self._apply()
            self._last = time.monotonic()


class Worker:
    """Runs one job at a time in a thread.

    Args:
        on_error: called in the thread with what a job raised.
        on_end: called in the thread when a job has ended, in whatever way.
    """

    def __init__(self, on_error: Callable[[BaseException], None], on_end: Callable[[], None]) -> None:
        self._on_error = on_error
        self._on_end = on_end
        self._thread: threading.Thread | None = None
        self.error: BaseException | None = None
        self.cancelled = threading.Event()

    @property
    def busy(self) -> bool:
        """Whether a job is running."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, job: Callable[[], None]) -> bool:
        """Run ``job``; False, and nothing happens, if one is running already."""
        if self.busy:
            return False
        self.cancelled.clear()
        self.error = None
        self._thread = threading.Thread(target=self._run, args=(job,), daemon=True)
        self._thread.start()
        return True

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - a thread's exception is otherwise seen by nobody
            self.error = error
            self._on_error(error)
        finally:
            self._on_end()

    def cancel(self) -> None:
        """Ask the job to end; it looks at ``cancelled``."""
        self.cancelled.set()

    def wait(self, timeout_s: float = 60) -> None:
        """Wait for the job's end and raise what it raised.

        Raises:
            TimeoutError: it still runs.
        """
        if self._thread:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                raise TimeoutError(f"still running after {timeout_s} s")
        if self.error:
            raise self.error
