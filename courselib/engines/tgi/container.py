"""Runs one ``docker run`` in the foreground and leaves no container behind.

    python -I -S container.py docker run --rm --name NAME ...

A container belongs to Docker's daemon and not to us: it survives its client. So the client is started from here with
a file for the container's id; asked to end (TERM), the client passes that on to the container, and what has not ended
GRACE_S seconds later is removed by that id. By id and not by name: a name may turn out to be somebody else's.
Should our guard be killed, and we with it, Linux sends the client the TERM. Only a KILL for us alone leaves the
container behind, because the guard then kills the client in its turn.

Only the standard library, and no ``site``. It is run as a file, never imported.
"""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG = 1
GRACE_S = 3.0
REMOVE_TIMEOUT_S = 20.0


def ask_for_term_when_orphaned() -> None:
    """What the client's process does between fork and exec (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def main(command: list[str]) -> int:
    """Run the container to its end, or to ours; returns the exit code of ``docker run``."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    docker, run, *rest = command
    print("container", rest[rest.index("--name") + 1], flush=True)
    with tempfile.TemporaryDirectory(prefix="courselib-") as folder:
        id_file = Path(folder) / "container"
        client = subprocess.Popen(
            [docker, run, "--cidfile", str(id_file), *rest],
            preexec_fn=ask_for_term_when_orphaned if sys.platform == "linux" else None,
        )
        wait(client, stopping)
        if id_file.exists():  # with --rm it is usually gone by now, and then this says so and does nothing
            remove = [docker, "rm", "--force", id_file.read_text()]
            subprocess.run(remove, capture_output=True, timeout=REMOVE_TIMEOUT_S, check=False)
        if client.poll() is None:
            client.kill()
        return client.wait()


def wait(client: subprocess.Popen[bytes], stopping: threading.Event) -> None:
    """Wait for the client's end, or for our own and then ``GRACE_S`` for it to follow."""
    while client.poll() is None and not stopping.wait(0.1):
        pass
    if stopping.is_set():
        client.terminate()
        try:
            client.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            return


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.exit(code if code >= 0 else 128 - code)
