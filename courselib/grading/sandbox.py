"""The confinement of a learner's code: which files, which network, which user; by bubblewrap, or none where asked.

Inside are the system's programs, Python with its packages, and courselib without its judges, all read-only; a small
folder in memory to write to; a loopback of its own; no process but its own; an empty environment. Not inside: lessons,
solutions, submissions, results, homes.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from courselib.errors import EngineMissing
from courselib.i18n import _

PACKAGE = Path(__file__).parents[1]
# Of the package, what a learner's code must not see: what is right, and how it is found out.
HIDDEN = ("exercises", "grading")
COURSE, WORKER = "/course", "/grader/worker.py"
SOCKET = "/grader/socket"
# Users with no file and no other process, one for each place at the bench, so that none uses up another's processes.
FIRST_USER = 61_000
WRITABLE_BYTES = 64 * 2**20
_ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108 - a folder in memory, seen by this process alone
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    # With a thread for each core, numpy alone would reach the limit of processes and of memory.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


def command(place: int, socket: Path | None, *, models: Path) -> list[str]:
    """The command that runs a worker confined.

    Args:
        place: a number that no other worker has that runs at the same time.
        socket: a Unix socket that the worker may reach, as ``SOCKET``.
        models: the folder with the course's models, to be read.

    Raises:
        EngineMissing: there is no bubblewrap here, or it may not make namespaces.
    """
    require()
    is_root = os.geteuid() == 0
    words = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]
    if is_root:
        # As another user, who is not root outside either: a namespace of users would leave root its exemptions.
        words = [word if word != "--unshare-all" else "--unshare-ipc" for word in words]
        words += ["--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        for capability in ("SETUID", "SETGID", "SETPCAP"):
            words += ["--cap-add", f"CAP_{capability}"]
    words += [*_system(), *_python(), *_course()]
    if models.is_dir():
        words += [*_parents(models), "--ro-bind", str(models), str(models)]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for folder in ("/tmp", "/dev/shm"):  # noqa: S108 - as above
        words += ["--size", str(WRITABLE_BYTES), "--perms", "1777", "--tmpfs", folder]
    if socket:
        words += ["--bind", str(socket), SOCKET]
    for name, value in (_ENVIRONMENT | {"PYTHONPATH": COURSE, "COURSELIB_CACHE": str(models.parent)}).items():
        words += ["--setenv", name, value]
    words += ["--remount-ro", "/", "--chdir", "/tmp"]  # noqa: S108 - as above
    if is_root:
        user = str(FIRST_USER + place)
        words += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--bounding-set=-all"]
        words += ["--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"]
    return [*words, sys.executable, "-B", WORKER]


def bare_command() -> tuple[list[str], dict[str, str]]:
    """The command that runs a worker with nothing but limits around it, and its environment."""
    return [sys.executable, "-B", str(PACKAGE / "grading" / "worker.py")], {
        "PATH": os.defpath,
        "PYTHONPATH": str(PACKAGE.parent),
    }


@functools.cache
def require() -> None:
    """Raise where code cannot be confined.

    Raises:
        EngineMissing: there is no bubblewrap here, it is too old, or it may not make namespaces.
    """
    trial = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--size", "65536", "--tmpfs", "/tmp", "true"]  # noqa: S108
    needs = _("Learners' code runs confined, which needs bubblewrap 0.7 or newer.")
    unsafe = _("--unsafe runs it with limits only, and each page then has a warning.")
    if sys.platform != "linux" or not shutil.which("bwrap"):
        how = _("Install it (on Debian or Ubuntu: apt install bubblewrap). On other systems, grade in a Linux machine.")
        raise EngineMissing(f"{needs} {how} {unsafe}")
    tried = subprocess.run(trial, capture_output=True, text=True, check=False)
    if tried.returncode:
        how = _("It does not work here; its own words are below.")
        raise EngineMissing(f"{needs} {how} {unsafe}", details=tried.stderr.strip())


def _parents(path: Path) -> Iterator[str]:
    """The folders above a path, which another user must be able to pass."""
    for folder in reversed(path.parents[:-1]):
        yield from ("--perms", "0755", "--dir", str(folder))


def _system() -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for folder in map(Path, ("/bin", "/lib", "/lib64")):
        if folder.is_symlink():
            yield from ("--symlink", str(folder.readlink()), str(folder))
        elif folder.is_dir():
            yield from ("--ro-bind", str(folder), str(folder))
    yield from ("--perms", "0755", "--dir", "/etc", "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache")


def _python() -> Iterator[str]:
    """Python and its packages, where they are: a virtual environment knows its paths by heart."""
    for folder in dict.fromkeys(map(Path, (sys.base_prefix, sys.prefix))):
        if not folder.is_relative_to("/usr"):
            yield from (*_parents(folder), "--ro-bind", str(folder), str(folder))
        yield from _masks(PACKAGE) if PACKAGE.is_relative_to(folder) else ()


def _course() -> Iterator[str]:
    package = Path(COURSE, PACKAGE.name)
    yield from ("--perms", "0755", "--dir", COURSE, "--ro-bind", str(PACKAGE), str(package), *_masks(package))
    yield from ("--perms", "0755", "--dir", "/grader", "--ro-bind", str(PACKAGE / "grading" / "worker.py"), WORKER)


def _masks(package: Path) -> Iterator[str]:
    for name in HIDDEN:
        yield from ("--tmpfs", str(package / name), "--remount-ro", str(package / name))
