"""The gateway and the engine behind it are one: nothing of them outlives whoever started it."""

import contextlib
import os
import signal
import subprocess
import sys

import httpx
import psutil
import pytest

import courselib
from courselib import errors
from tests.engines.conftest import is_alive, wait_gone
from tests.learners_folder import SAYS, learners_folder
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
    """llama-server ignores TERM meanwhile, so both are killed: the stream breaks off, and stop() returns without it."""
    server = courselib.launch("tgi-gateway", context=2048)
    (engine,) = psutil.Process(server.pid).children()
    body = {"inputs": "la la la la la la la la la la", "parameters": {"max_new_tokens": 2000}}
    lines = []
    with contextlib.suppress(httpx.HTTPError), server.http.stream("POST", "/generate_stream", json=body) as answer:
        for line in answer.iter_lines():
            lines.append(line)
            if len(lines) == 1:
                server.stop()
                assert not is_alive(server.pid)
    assert not any('"finish_reason"' in line for line in lines)
    wait_gone(server.pid, server.port)
    wait_gone(engine.pid, server.port)


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


STARTED_ELSEWHERE = """\
import courselib

with courselib.launch("tgi-gateway", context=128) as server:
    answer = server.http.post("/generate", json={"inputs": "a", "parameters": {"max_new_tokens": 1}})
    print(answer.status_code, server.logs())
"""


def test_nothing_of_a_learners_folder_is_imported(tmp_path):
    """Neither by the gateway nor by the llama.cpp server that it starts."""
    script = tmp_path / "start.py"
    script.write_text(STARTED_ELSEWHERE)
    folder = learners_folder(tmp_path / "notebooks")
    done = subprocess.run(
        [sys.executable, script], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.startswith("200"), done.stdout + done.stderr
    assert SAYS not in done.stdout
