"""The gateway and the engine behind it are one: nothing of them outlives whoever started it."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

import courselib
from courselib import errors
from tests.engines.conftest import is_alive, wait_gone
from tests.ports import taken_port

pytestmark = pytest.mark.engine
START = (
    "import courselib, psutil\nserver = courselib.launch('tgi-gateway', context=256)\n"
    "print(server.pid, server.port, psutil.Process(server.pid).children()[0].pid, flush=True)"
)


def started(code=START):
    script = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    return script, *map(int, script.stdout.readline().split())


def test_killed_starter():
    script, pid, port, engine = started(START + "\nimport time; time.sleep(60)")
    assert is_alive(engine)
    script.kill()
    script.wait()
    wait_gone(pid, port)
    wait_gone(engine, port)


def test_normal_exit():
    script, pid, port, engine = started()
    assert script.wait(timeout=20) == 0
    wait_gone(pid, port)
    wait_gone(engine, port)


def test_stop_while_a_request_runs():
    server = courselib.launch("tgi-gateway", context=2048)
    (engine,) = psutil.Process(server.pid).children()
    body = {"inputs": "la la la la la la la la la la", "parameters": {"max_new_tokens": 1000}}
    with contextlib.suppress(Exception), server.http.stream("POST", "/generate_stream", json=body) as answer:
        next(answer.iter_lines())
        begin = time.monotonic()
        server.stop()
    assert time.monotonic() - begin < 6
    wait_gone(server.pid, server.port, 1)
    wait_gone(engine.pid, server.port, 1)


def test_gateway_killed_alone():
    server = courselib.launch("tgi-gateway", context=256)
    (engine,) = psutil.Process(server.pid).children()
    os.kill(server.pid, signal.SIGKILL)
    wait_gone(engine.pid, server.port)
    with pytest.raises(errors.EngineDied):
        server.check()
    server.stop()


def test_port_taken():
    with taken_port() as port, pytest.raises(errors.PortTaken):
        courselib.launch("tgi-gateway", port=port)


def test_the_keys_are_in_no_command_line():
    with courselib.launch("tgi-gateway", context=256, api_key="a-very-secret-key") as server:
        processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
        assert "a-very-secret-key" not in str([process.cmdline() for process in processes]) + server.logs()
        assert not any("key" in word for process in processes for word in process.cmdline())
        # The inner server knows its own key only.
        assert "API_KEY" in processes[0].environ()
        assert "API_KEY" not in processes[1].environ()
