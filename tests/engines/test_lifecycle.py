"""Nothing outlives its starter: each way to end is done to a real engine, then we look for what is left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import jupyter_client
import psutil
import pytest

import courselib
from courselib.errors import EngineDied
from courselib.processes.ports import free_port
from tests.engines.conftest import engines_alive, is_alive, is_listening, wait_gone
from tests.waiting import wait_until

pytestmark = pytest.mark.engine

START = "import courselib\nserver = courselib.launch('llama.cpp', context=512)\nprint(server.pid, server.port)"


@pytest.fixture
def kernel():
    """A Jupyter kernel of its own, as a notebook has."""
    manager, client = jupyter_client.manager.start_new_kernel(kernel_name="python3")
    yield manager, client
    client.stop_channels()
    if manager.is_alive():
        manager.shutdown_kernel(now=True)


def run(client, code, timeout=60):
    """Run a cell and return what it printed; an error in it fails the test."""
    printed = []

    def hook(message):
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            printed.append(message["content"]["text"])

    reply = client.execute_interactive(code, timeout=timeout, output_hook=hook)
    assert reply["content"]["status"] == "ok", reply["content"]
    return "".join(printed)


def start_in(client):
    pid, port = map(int, run(client, START).split())
    assert is_alive(pid)
    assert is_listening(port)
    return pid, port


def test_kernel_shutdown(kernel):
    manager, client = kernel
    pid, port = start_in(client)
    manager.shutdown_kernel()
    wait_gone(pid, port)


def test_kernel_restart(kernel):
    manager, client = kernel
    pid, port = start_in(client)
    manager.restart_kernel()
    wait_gone(pid, port)


def test_kernel_killed(kernel):
    manager, client = kernel
    pid, port = start_in(client)
    folder = Path(run(client, "print(server._process.log_path.parent)").strip())
    assert list(folder.iterdir()), "its log"
    os.kill(int(run(client, "import os; print(os.getpid())")), signal.SIGKILL)
    wait_gone(pid, port)
    assert not manager.is_alive()
    wait_until(lambda: not folder.exists(), 15)


def test_cell_run_twice_leaves_one_server(kernel):
    _manager, client = kernel
    first = start_in(client)
    second = start_in(client)
    wait_gone(*first)
    assert is_alive(second[0])
    assert is_listening(second[1])


def test_a_cell_with_a_port_of_its_own_may_be_run_twice(kernel):
    _manager, client = kernel
    code = START.replace("context=512", f"context=512, port={free_port()}")
    (first, port), (second, same) = (map(int, run(client, code).split()) for _time in range(2))
    assert port == same and first != second
    assert not is_alive(first) and is_alive(second)


def test_another_cell_keeps_the_first_server(kernel):
    _manager, client = kernel
    first = start_in(client)
    run(client, START.replace("server", "other", 1).replace("server.p", "other.p") + "  # another cell")
    assert is_alive(first[0])


def test_interrupt_while_starting(kernel):
    _manager, client = kernel
    before = engines_alive()
    # Interrupts itself at the third poll, when the engine has been started and is not ready yet.
    code = (
        "import courselib, os, signal\n"
        "polls = []\n"
        "def on_wait(elapsed):\n"
        "    polls.append(elapsed)\n"
        "    if len(polls) == 3: os.kill(os.getpid(), signal.SIGINT)\n"
        "courselib.launch('llama.cpp', on_wait=on_wait)"
    )
    reply = client.execute_interactive(code, timeout=60, output_hook=lambda _message: None)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert run(client, "print(len(polls))").strip() == "3"
    assert engines_alive() <= before


def test_interrupt_of_a_later_cell_keeps_the_server(kernel):
    manager, client = kernel
    pid, _port = start_in(client)
    begun = []

    def interrupt_once_it_runs(message):
        if message["msg_type"] == "stream":
            begun.append(message)
            manager.interrupt_kernel()

    code = "import time; print('begun', flush=True); time.sleep(600)"
    reply = client.execute_interactive(code, timeout=60, output_hook=interrupt_once_it_runs)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert begun
    run(client, "server.check()")
    assert is_alive(pid)


def test_normal_exit_of_a_script():
    script = f"{START}\nprint('leaving', flush=True)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    pid, port = map(int, done.stdout.split()[:2])
    wait_gone(pid, port)


def test_guard_killed():
    server = courselib.launch("llama.cpp", context=512)
    guard = psutil.Process(server.pid).parent()
    guard.kill()
    wait_gone(server.pid, server.port)
    server.stop()


def test_stop_while_a_request_runs():
    server = courselib.launch("llama.cpp", context=2048)
    answer = server.openai().completions.create(
        model=server.model, prompt="Once", max_tokens=1500, stream=True, extra_body={"ignore_eos": True}
    )
    next(iter(answer))
    server.stop()
    assert server._process.returncode() >= 0, "its guard has ended it, and was not killed"
    wait_gone(server.pid, server.port, 1)


def test_stop_twice_and_logs_afterwards():
    server = courselib.launch("llama.cpp", context=512)
    server.stop()
    server.stop()
    assert "listening" in server.logs()
    assert not server.is_running()
    with pytest.raises(EngineDied, match=r"was stopped\. Start a new one"):
        server.check()


def test_failed_start_leaves_nothing():
    before = engines_alive()
    with pytest.raises(RuntimeError, match="enough"):
        courselib.launch("llama.cpp", on_wait=_raise_after_two_polls())
    assert engines_alive() <= before


def _raise_after_two_polls():
    polls = []

    def on_wait(_elapsed):
        polls.append(1)
        if len(polls) > 2:
            raise RuntimeError("enough")

    return on_wait


def test_lost_object_stops_its_server():
    server = courselib.launch("llama.cpp", context=512)
    pid, port = server.pid, server.port
    del server
    wait_gone(pid, port)
