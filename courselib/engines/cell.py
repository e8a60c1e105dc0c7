"""Which notebook cell made which server or panel, so that a cell run twice leaves one server, not two."""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from courselib.engines.server import Server


class CellRun(NamedTuple):
    """One run of one cell."""

    cell: str
    run: str


Made = TypeVar("Made")


class ByCell(Generic[Made]):
    """What runs of cells have made and somebody still holds: a cell that is run again finds what it made before."""

    def __init__(self) -> None:
        self._made: dict[str, list[tuple[str, weakref.ref[Made]]]] = {}

    def remember(self, run: CellRun | None, made: Made) -> None:
        """Note what this run of a cell has made; outside of cells nothing is noted."""
        if run is not None:
            self._made.setdefault(run.cell, []).append((run.run, weakref.ref(made)))

    def earlier(self, run: CellRun | None) -> list[Made]:
        """What earlier runs of this cell have made."""
        if run is None:
            return []
        found = [(made_in, reference()) for made_in, reference in self._made.get(run.cell, [])]
        return [made for made_in, made in found if made is not None and made_in != run.run]

    def forget_earlier(self, run: CellRun | None) -> list[Made]:
        """The same, which is not found again."""
        found = self.earlier(run)
        if run is not None:
            self._made[run.cell] = [entry for entry in self._made.get(run.cell, []) if entry[0] == run.run]
        return found


servers: ByCell[Server] = ByCell()


def current_run() -> CellRun | None:
    """The cell now running, or ``None`` outside a notebook's kernel."""
    if "IPython" not in sys.modules:
        return None
    kernel = getattr(sys.modules["IPython"].get_ipython(), "kernel", None)
    try:
        request = kernel.get_parent() if kernel else {}
    except LookupError:  # ipykernel 7, in a thread that a learner made
        return None
    if request.get("msg_type", request.get("header", {}).get("msg_type")) != "execute_request":
        return None
    # JupyterLab names the cell; other front ends do not, and there the same code counts as the same cell.
    cell = request.get("metadata", {}).get("cellId") or request["content"]["code"]
    return CellRun(cell, request["header"]["msg_id"])


def stop_earlier(run: CellRun | None) -> None:
    """Stop the servers that earlier runs of this cell started."""
    for server in servers.forget_earlier(run):
        server.stop()
