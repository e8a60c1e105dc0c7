"""Runs one engine and ends it, with all its children, when whoever started it is gone.

    python -I -S guard.py LOG GRACE_S COMMAND...

The starter holds the other end of our standard input. A first word in that pipe, its end, a signal to us, or the end
of the starter itself (exit, crash, ``kill -9`` of a notebook's kernel) makes us end the engine: its process group gets
TERM, then, GRACE_S seconds later, KILL; what escaped the group but is still below us gets KILL as well. The pipe alone
would not do: a child that the starter has forked holds it open for as long as it lives. Of a starter that is gone
without a word we remove the folder of LOG, too. Should we ourselves be killed, Linux ends the engine through its
parent-death signal. We report the engine's process id on standard output and end with its exit code (128 + signal where
a signal ended it).

Only the standard library, and no ``site``: starting this costs about 20 ms. It is run as a file, never imported.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LINUX = sys.platform == "linux"
TRACKER = b"multiprocessing.resource_tracker"
TRACKER_GRACE_S = 1.0
STARTER_POLL_S = 0.2


def prctl(option: int, value: int) -> None:
    """Linux's prctl(2); a refusal is not an error, only one safety net fewer."""
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def die_with_parent(parent: int) -> Callable[[], None]:
    """What the engine's process does between fork and exec: ask to be killed when ``parent`` (us) dies."""
    libc = ctypes.CDLL(None)  # loaded before the fork: loading in a forked child may deadlock

    def between_fork_and_exec() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return between_fork_and_exec


def signal_group(engine: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the engine and all it started in its group."""
    if os.name == "nt":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(engine.pid)], capture_output=True, check=False)
        return
    try:
        os.killpg(engine.pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:  # macOS says so for a group of zombies
        pass


def kill_group(engine: subprocess.Popen[bytes]) -> None:
    """KILL the engine's group, Python's resource trackers a moment later: they remove the shared memory of the dead."""
    number = getattr(signal, "SIGKILL", signal.SIGTERM)
    members = group_members(engine.pid)
    for pid, command in members.items():
        if TRACKER not in command:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    deadline = time.monotonic() + TRACKER_GRACE_S
    while any(TRACKER in command for command in members.values()) and time.monotonic() < deadline:
        time.sleep(0.01)
        members = group_members(engine.pid)
    signal_group(engine, number)


def group_members(group: int) -> dict[int, bytes]:
    """Command lines of the living processes of a group, by process id; empty where there is no /proc."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*") if LINUX else ():
        with contextlib.suppress(OSError, ValueError):
            # The name before it may hold spaces and brackets: after it come state, parent and group.
            state, _parent, its_group = (folder / "stat").read_text().rpartition(") ")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                found[int(folder.name)] = (folder / "cmdline").read_bytes()
    return found


def stop(engine: subprocess.Popen[bytes], grace_s: float) -> None:
    """TERM, wait, KILL: llama-server and vLLM both ignore TERM while a request runs."""
    signal_group(engine, signal.SIGTERM)
    deadline = time.monotonic() + grace_s
    while engine.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    kill_group(engine)


def kill_strays() -> None:
    """Kill and reap what the engine started outside its own group: as subreaper we have inherited it."""
    if not LINUX:
        return
    me = os.getpid()
    for _ in range(100):
        try:
            children = Path(f"/proc/{me}/task/{me}/children").read_text().split()
        except OSError:
            return
        if not children:
            return
        for child in map(int, children):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def main(log: str, grace_s: str, command: list[str]) -> int:
    """Start the engine, wait for its end or the starter's, and leave nothing behind."""
    starter = os.getppid()
    if LINUX:
        prctl(PR_SET_CHILD_SUBREAPER, 1)
    ending, alone = threading.Event(), threading.Event()
    # Before there is an engine: a signal that comes meanwhile is acted on as soon as there is one.
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: ending.set())
    flags: dict[str, Any] = {"creationflags": 0x200} if os.name == "nt" else {"start_new_session": True}
    with Path(log).open("ab") as output:
        engine: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent(os.getpid()) if LINUX else None,
            **flags,
        )
    for task in (lambda: listen(ending, alone), lambda: end_in_time(engine, float(grace_s), starter, ending, alone)):
        threading.Thread(target=task, daemon=True).start()
    with contextlib.suppress(OSError):  # nobody may be left to read it
        print(engine.pid, flush=True)
    os.close(1)
    # Threads do the rest: what a signal's handler did here, inside of this wait, could not see the engine's end.
    code = engine.wait()
    kill_group(engine)
    kill_strays()
    if alone.is_set():
        import shutil  # costs as much as all the rest of this file

        shutil.rmtree(Path(log).parent, ignore_errors=True)
    return code if code >= 0 else 128 - code


def listen(ending: threading.Event, alone: threading.Event) -> None:
    """Wait for a first word of the starter, or for the end of its pipe."""
    if not os.read(0, 1024):
        alone.set()
    ending.set()


def end_in_time(
    engine: subprocess.Popen[bytes], grace_s: float, starter: int, ending: threading.Event, alone: threading.Event
) -> None:
    """Stop the engine once that is asked for, or once the starter is gone: then its children have another parent.

    Windows never tells of another parent; there no process inherits the pipe unasked, so that its end is enough.
    """
    while not ending.wait(STARTER_POLL_S):
        if os.getppid() != starter:
            alone.set()
            break
    stop(engine, grace_s)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
