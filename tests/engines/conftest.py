"""Real engines for the tests, and a look at what they leave behind."""

import contextlib
import socket
import time

import psutil
import pytest

import courselib


@pytest.fixture(scope="session")
def server():
    """One small llama.cpp server, shared by all tests that only ask it something."""
    with courselib.launch("llama.cpp", context=1024) as running:
        yield running


def wait_gone(pid, port, timeout_s=15):
    """Wait until neither the process nor anybody listening on the port is left; says which is."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        left = [what for what, there in (("process", is_alive(pid)), ("port", is_listening(port))) if there]
        if not left:
            return
        time.sleep(0.05)
    pytest.fail(f"left behind after {timeout_s} s: {left}")


def is_alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def is_listening(port):
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def engines_alive():
    """Process ids of all engines and guards that this test run, or a kernel it started, has started."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if "courselib.engines.llamacpp.program" in line or "processes/guard.py" in line:
                found.add(process.pid)
    return found
