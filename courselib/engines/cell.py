"""Which notebook cell started which server, so that a cell run twice leaves one server, not two."""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from courselib.engines.server import Server


class CellRun(NamedTuple):
    """One run of one cell."""

    cell: str
    run: str


_started: dict[str, list[tuple[str, weakref.ref[Server]]]] = {}


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


def earlier(run: CellRun | None) -> list[Server]:
    """The servers that earlier runs of this cell started, and that somebody still holds."""
    if run is None:
        return []
    found = [(started_in, reference()) for started_in, reference in _started.get(run.cell, [])]
    return [server for started_in, server in found if server is not None and started_in != run.run]


def stop_earlier(run: CellRun | None) -> None:
    """Stop the servers that earlier runs of this cell started."""
    if run is None:
        return
    for server in earlier(run):
        server.stop()
    _started[run.cell] = [entry for entry in _started.get(run.cell, []) if entry[0] == run.run]


def remember(run: CellRun | None, server: Server) -> None:
    """Note that this run of a cell started ``server``."""
    if run is not None:
        _started.setdefault(run.cell, []).append((run.run, weakref.ref(server)))
