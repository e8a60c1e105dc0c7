"""The command in a process of its own, as a person or a script starts it."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

COURSELIB = str(Path(sys.executable).with_name("courselib"))
POSIX = sys.platform != "win32"


def run(*arguments, **options):
    """Run it to its end."""
    return subprocess.run([COURSELIB, *arguments], capture_output=True, text=True, timeout=120, check=False, **options)


@contextlib.contextmanager
def started(*arguments, environment=None, interrupt=signal.SIG_DFL, **options):
    """Start it; nothing of it is left in the end.

    Whoever started the tests may have SIGINT ignored, as in a background job, and children inherit that. So it is set
    here: to the default as in a terminal, or to ``SIG_IGN`` as in a background job.
    """
    if POSIX:
        options |= {"start_new_session": True, "preexec_fn": lambda: signal.signal(signal.SIGINT, interrupt)}
    process = subprocess.Popen([COURSELIB, *arguments], text=True, env={**os.environ, **(environment or {})}, **options)
    try:
        yield process
    finally:
        left = descendants(process)
        process.kill()
        process.wait()
        for stream in filter(None, (process.stdout, process.stderr)):
            stream.close()
        psutil.wait_procs(left, timeout=30)


def descendants(process):
    """All that it has started, and that what has started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def ends_with_all_it_started(process, number, timeout_s=60):
    """Send the signal; wait until neither the command nor anything it has started is left."""
    children = descendants(process)
    assert len(children) >= 2  # a guard, and what it guards
    process.send_signal(number)
    process.wait(timeout_s)
    _gone, alive = psutil.wait_procs(children, timeout=timeout_s)
    assert not alive
