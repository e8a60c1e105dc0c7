"""One job of an experiment, as the panel that measures sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from courselib.engines.server import Server
from courselib.panels.asked import Asked
from courselib.panels.worker import Worker


class Run:
    """One job of an experiment, as ``measure`` sees it.

    Args:
        server: who is asked.
        asked: what is asked.
        worker: runs the job.
        show_progress: called with how much is done, and of how much.
    """

    def __init__(self, server: Server, asked: Asked, worker: Worker, show_progress: Callable[[int, int], None]) -> None:
        self.server, self.asked = server, asked
        # The result of the same that is kept already, to go on from; None if there is none.
        self.before: Any = None
        self._worker, self.progress = worker, show_progress

    @property
    def cancelled(self) -> bool:
        """Whether Cancel was pressed: look as often as possible, and return."""
        return self._worker.cancelled.is_set()

    def breaks_off(self, close: Callable[[], None]) -> None:
        """Have ``close`` called on Cancel, at once if it was pressed already: it ends what the job waits for."""
        self._worker.on_cancel(close)
