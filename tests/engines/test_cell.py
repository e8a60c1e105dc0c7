"""A cell that is run again while its first server lives: the order of things, and the memory that will be free."""

import pytest

from courselib import errors, machine
from courselib.engines import cell, launcher
from courselib.engines.llamacpp.engine import ENGINE
from courselib.engines.llamacpp.settings import LlamaCppSettings

MIB = 1 << 20


class FakeServer:
    """Stands for one that an earlier run of the cell has started."""

    port = None

    def __init__(self, own_bytes):
        self._own_bytes, self.stopped = own_bytes, False

    def own_bytes(self):
        return 0 if self.stopped else self._own_bytes

    def stop(self):
        self.stopped = True


@pytest.fixture
def again(monkeypatch):
    """In a cell's second run, whose first has started a server of 600 MiB."""
    server = FakeServer(600 * MIB)
    cell.servers.remember(cell.CellRun("a cell", "first"), server)
    monkeypatch.setattr(cell, "current_run", lambda: cell.CellRun("a cell", "second"))
    yield server
    cell.servers.forget_earlier(cell.CellRun("a cell", "none"))


@pytest.fixture
def tight(monkeypatch):
    """A machine with 2 GiB of memory and 100 MiB of it free."""
    psutil_memory = type("Memory", (), {"total": 2048 * MIB, "available": 100 * MIB})
    monkeypatch.setattr("psutil.virtual_memory", lambda: psutil_memory)
    monkeypatch.setattr("courselib.cgroup.memory_limits", lambda: [])
    monkeypatch.setattr("courselib.engines.llamacpp.engine.gpus", lambda: [])


class Started(Exception):
    pass


@pytest.fixture
def no_start(monkeypatch):
    def start(*_arguments):
        raise Started

    monkeypatch.setattr(launcher, "_start_until_ready", start)


# 45 KiB a token of this model: 8192 tokens are 180 MiB (30 layers, 3 heads of keys and of values, 64 numbers of f16).
ROOMY = 8192


def test_what_the_first_server_will_free_counts(again, tight, no_start):
    with pytest.raises(Started):
        launcher.launch(context=ROOMY)
    assert again.stopped


def test_what_does_not_fit_then_either_is_refused_and_the_server_lives(again, tight, no_start):
    with pytest.raises(errors.OutOfMemory):
        launcher.launch(context=ROOMY * 5)
    assert not again.stopped


def test_a_slip_ends_no_good_server(again, no_start):
    for settings in ({"contexts": 1}, {"model": "smollm2-135"}, {"port": "x"}):
        with pytest.raises(errors.CourseError):
            launcher.launch(**settings)
    assert not again.stopped


def test_elsewhere_nothing_is_added(tight):
    with pytest.raises(errors.OutOfMemory):
        ENGINE.prepare(LlamaCppSettings(context=ROOMY))
    with machine.freed_soon(600 * MIB):
        ENGINE.prepare(LlamaCppSettings(context=ROOMY))
        assert machine.memory().available == 700 * MIB
    assert machine.memory().available == 100 * MIB
    with machine.freed_soon(1 << 60):
        assert machine.memory().available == machine.memory().total
