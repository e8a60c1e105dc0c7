"""A real control group with a limit, for tests; made only where this process is in nobody's group."""

import contextlib
import os
from pathlib import Path

from courselib import cgroup


@contextlib.contextmanager
def real_group(controller, limits):
    """Makes a group.

    Args:
        controller: ``cpu`` or ``memory``.
        limits: by the name of a file, what to write into it; the first that is there is the limit.

    Yields:
        Its folder, and why there is none, of which one is empty.
    """
    reason = f"no control group with {controller} can be made here"
    for _root, mount, name in cgroup._mounts(controller):
        if cgroup._groups().get(name) != "/":
            reason = f"this process's {controller} is in a group of someone else, which is left alone"
            continue
        folder = Path(mount, f"courselib-test-{os.getpid()}")
        with contextlib.suppress(OSError):
            folder.mkdir()
            try:
                for file, text in limits.items():
                    if (folder / file).exists():
                        (folder / file).write_text(text)
                        yield folder, ""
                        return
            finally:
                folder.rmdir()
    yield None, reason
