"""Nothing outlives its starter, however the starter ends and whatever it has forked; no engine is needed to see it."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from courselib.errors import EngineMissing
from courselib.processes.process import GuardedProcess
from tests.waiting import wait_until

posix = pytest.mark.skipif(os.name == "nt", reason="forks and signals")
# Does its work in a child of another session, as vLLM does, and tells which.
ENGINE = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""
# What takes its time to end; a stop that waits for no good reason takes at least this long.
GRACE_S = 20


def start(**options):
    return GuardedProcess([sys.executable, "-c", ENGINE], name="engine", grace_s=GRACE_S, **options)


def pids(process):
    """The engine's process and its child's."""
    wait_until(lambda: process.logs().endswith("\n"), 30)
    return [process.pid, int(process.logs())]


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_ended(found):
    wait_until(lambda: not any(map(is_alive, found)), 30)


@pytest.fixture
def forked_child():
    """A child of this process, with all its open files, that does nothing until the test is over."""
    made = []

    def fork():
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
        os.close(reading)
        made.append((pid, writing))
        return pid

    yield fork
    for pid, writing in made:
        os.close(writing)
        os.waitpid(pid, 0)


@posix
def test_stop_is_quick_and_complete_while_a_forked_child_lives(forked_child):
    process = start()
    found = pids(process)
    child = forked_child()
    begin = time.monotonic()
    process.stop()
    assert time.monotonic() - begin < GRACE_S
    assert not any(map(is_alive, found))
    assert is_alive(child)
    assert process.logs() == f"{found[1]}\n"


STARTER = """
import os, signal, sys, time
from courselib.processes.process import GuardedProcess
process = GuardedProcess([sys.executable, "-c", {engine!r}], name="engine", grace_s={grace})
while not process.logs().endswith("\\n"):
    time.sleep(0.01)
child = os.fork()
if child == 0:
    time.sleep(600)
    os._exit(0)
print(process.pid, process.logs().strip(), process.log_path.parent, child, flush=True)
{then}
"""


def run_starter(then):
    """Run a program that starts an engine and forks; the engine's processes, its folder, and the forked child."""
    code = STARTER.format(engine=ENGINE, grace=GRACE_S, then=textwrap.dedent(then))
    starter = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    words = starter.stdout.readline().split()
    starter.wait(60)
    return [int(word) for word in words[:2]], Path(words[2]), int(words[3])


@posix
@pytest.mark.parametrize("then", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(1)"])
def test_a_starter_that_is_killed_leaves_nothing_while_its_forked_child_lives(then):
    found, folder, child = run_starter(then)
    try:
        wait_ended(found)
        wait_until(lambda: not folder.exists(), 30)
        assert is_alive(child)
    finally:
        os.kill(child, signal.SIGKILL)


@posix
def test_a_forked_child_that_ends_as_usual_stops_nothing():
    process = start()
    try:
        found = pids(process)
        child = os.fork()
        if child == 0:
            try:
                process.stop()
                process._finalizer()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert all(map(is_alive, found))
        assert process.log_path.exists()
    finally:
        process.stop()
    assert not any(map(is_alive, found))


@posix
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_to_the_guard_ends_the_engine_at_once(name):
    process = start()
    found = pids(process)
    begin = time.monotonic()
    process._guard.send_signal(getattr(signal, name))
    process.wait()
    assert time.monotonic() - begin < GRACE_S
    wait_ended(found)
    process.stop()


@posix
def test_a_guard_that_hangs_is_killed_after_all_below_it(monkeypatch):
    process = GuardedProcess([sys.executable, "-c", ENGINE], name="engine", grace_s=0.1)
    found = pids(process)
    process._guard.send_signal(signal.SIGSTOP)
    process.stop()
    wait_ended([*found, process._guard.pid])


@posix
def test_a_starter_that_is_interrupted_while_starting_leaves_nothing(monkeypatch):
    seen = []

    def interrupted(process):
        seen.append(process._guard)
        raise KeyboardInterrupt

    monkeypatch.setattr(GuardedProcess, "_read_pid", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start()
    assert seen[0].poll() is not None


def test_a_program_that_is_not_there_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(EngineMissing, match="no-such-program"):
        GuardedProcess(["no-such-program"], name="engine")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_leaves_goes_with_pytests_own_folders(tmp_path_factory):
    code = "import tempfile; print(tempfile.gettempdir())"
    theirs = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert theirs == tempfile.gettempdir()
    assert Path(theirs).is_relative_to(tmp_path_factory.getbasetemp())


def tmpdir_of(environment, **options):
    """Where a process makes its temporary files, and the folder that the process has with us."""
    code = "import tempfile; print(tempfile.gettempdir())"
    process = GuardedProcess([sys.executable, "-c", code], name="engine", environment=environment, **options)
    process.wait()
    told, folder = process.logs().strip(), process.log_path.parent
    process.stop()
    return Path(told), folder


@posix
def test_only_who_asks_gets_a_folder_for_temporary_files(tmp_path):
    told, folder = tmpdir_of({"TMPDIR": str(tmp_path)})
    assert told == tmp_path
    told, folder = tmpdir_of({}, own_tmpdir=True)
    assert told == folder
    assert not folder.exists()


@posix
def test_a_long_place_for_temporary_files_leaves_room_for_sockets(tmp_path, monkeypatch):
    place = tmp_path / ("long" * 20)
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    told, _folder = tmpdir_of({}, own_tmpdir=True)
    assert len(os.fsencode(told)) + len("/") + 36 <= 103


def test_a_log_is_read_on_from_where_it_was_read(tmp_path):
    from courselib.processes.log import GrowingLog

    path = tmp_path / "engine.log"
    log = GrowingLog(path)
    assert log.text() == ""
    path.write_bytes("one ü".encode()[:-1])
    assert log.text() == "one "
    with path.open("ab") as file:
        file.write("ü".encode()[-1:] + b"\xff\n")
    assert log.text() == "one ü\\xff\n"
    path.unlink()
    assert log.text() == "one ü\\xff\n"
