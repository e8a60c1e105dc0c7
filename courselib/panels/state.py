"""How a panel stands, and what it says of that."""

from __future__ import annotations

import enum

from courselib.i18n import N_


class State(str, enum.Enum):
    """How an experiment stands; programs compare it, people read ``WORDS``."""

    WAITING = "waiting"
    READY = "ready"
    BUSY = "busy"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    RECORDED = "recorded"


WORDS = {
    State.WAITING: N_("waiting for a server"),
    State.READY: N_("not run yet"),
    State.BUSY: N_("measuring"),
    State.DONE: N_("done"),
    State.CANCELLED: N_("cancelled"),
    State.FAILED: N_("failed"),
    State.RECORDED: N_("recorded"),
}


class DeskState(str, enum.Enum):
    """How the server of a Deploy panel stands; programs compare it, people read ``DESK_WORDS``."""

    NOT_STARTED = "not started"
    IMPOSSIBLE = "impossible"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    REPLACED = "replaced"


DESK_WORDS = {
    DeskState.NOT_STARTED: N_("not started"),
    DeskState.IMPOSSIBLE: N_("cannot start here: {reason}"),
    DeskState.STARTING: N_("starting, {seconds:.1f} s"),
    DeskState.RUNNING: N_("running, first token after {seconds:.1f} s"),
    DeskState.STOPPING: N_("stopping"),
    DeskState.STOPPED: N_("stopped"),
    DeskState.FAILED: N_("failed"),
    DeskState.REPLACED: N_("replaced: its cell was run again"),
}
