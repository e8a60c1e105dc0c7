"""The confinement of a learner's code: which files, which network, which user; by bubblewrap, or none where asked.

Inside are the system's programs, Python with its packages, and courselib without its judges, all read-only; a small
folder in memory to write to; a loopback of its own; no process but its own; an empty environment; a filter of the
kernel's calls (``seccomp``). Not inside: lessons, solutions, submissions, results, homes.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from courselib.errors import EngineMissing
from courselib.grading import seccomp
from courselib.i18n import _

PACKAGE = Path(__file__).parents[1]
# Of the package, what a learner's code must not see: what is right, and how it is found out.
HIDDEN = ("exercises", "grading")
COURSE, WORKER = "/course", "/grader/worker.py"
SOCKET = "/grader/socket"
# Users with no file and no other process: one for each place of each grader, so that none uses up another's processes.
FIRST_USER, USERS = 61_000, 4_000
# Folders in memory, and how much each may hold.
WRITABLE, WRITABLE_BYTES = ("/tmp", "/dev/shm"), 64 * 2**20  # noqa: S108 - seen by a worker's processes alone
# How long the kernel may take to end all processes of a worker.
GONE_S = 20.0
_ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108 - a folder in memory, seen by this process alone
    "LANG": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    # With a thread for each core, numpy alone would reach the limit of processes and of memory.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True)
class Cage:
    """A worker that was started, and how to be rid of it.

    Args:
        process: what was started; its standard input and output are the worker's.
        first: a handle of the first process inside, with which all others there end; ``None`` without confinement.
        root: the folders as they are inside, seen from outside.
    """

    process: subprocess.Popen[bytes]
    first: int | None = None
    root: Path | None = None

    def files(self) -> int:
        """Files in the folders that may be written to; each takes of the kernel's memory, and fills no disk."""
        count = 0
        for folder in WRITABLE if self.root else ():
            # It may have ended by now, or may not be looked into.
            with contextlib.suppress(OSError):
                about = os.statvfs(f"{self.root}{folder}")
                count += about.f_files - about.f_ffree
        return count

    def kill(self) -> None:
        """Kill everything, without waiting for it."""
        if self.first is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.first, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Kill everything, and wait until it is gone: what is left of it would be counted as the next worker's."""
        self.kill()
        if self.first is not None:
            select.select([self.first], [], [], GONE_S)
            os.close(self.first)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()
        self.process.wait()


def start(place: int, socket: Path | None, *, models: Path) -> Cage:
    """Start a worker confined.

    Args:
        place: a number that no other worker has that runs at the same time.
        socket: a Unix socket that the worker may reach, as ``SOCKET``.
        models: the folder with the course's models, to be read.

    Raises:
        EngineMissing: there is no bubblewrap here, or it may not make namespaces.
    """
    require()
    with _pipe() as (rules, rules_end), _pipe() as (told, told_end):
        os.write(rules_end[0], seccomp.program())
        words = command(place, socket, models=models, rules=rules[0], told=told_end[0])
        process = _popen(words, (rules[0], told_end[0]), {"PATH": os.environ.get("PATH", os.defpath)})
        os.close(told_end.pop())
        about = b""
        while data := os.read(told[0], 4096):
            about += data
    try:
        first = json.loads(about)["child-pid"]
        return Cage(process, os.pidfd_open(first), Path(f"/proc/{first}/root"))
    except (ValueError, KeyError, OSError):
        # It has ended already. Why, the caller sees when nothing comes.
        return Cage(process)


def user_of(place: int) -> int:
    """As which user a worker runs at a place, where the grader is root."""
    return FIRST_USER + (61 * os.getpid() + place) % USERS


def start_bare() -> Cage:
    """Start a worker with nothing but limits around it."""
    words = [sys.executable, "-B", str(PACKAGE / "grading" / "worker.py")]
    return Cage(_popen(words, (), {"PATH": os.defpath, "PYTHONPATH": str(PACKAGE.parent)}))


def _popen(words: list[str], handles: tuple[int, ...], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    # Without the grader's own environment: a process inside could read that of the one that confines it.
    pipe = subprocess.PIPE
    return subprocess.Popen(
        words, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, pass_fds=handles, start_new_session=True
    )


@contextlib.contextmanager
def _pipe() -> Iterator[tuple[list[int], list[int]]]:
    """Both ends of a pipe; those that are still in their lists are closed."""
    ends = tuple([end] for end in os.pipe())
    try:
        yield ends[0], ends[1]
    finally:
        for end in (*ends[0], *ends[1]):
            os.close(end)


def command(place: int, socket: Path | None, *, models: Path, rules: int, told: int) -> list[str]:
    """The command that runs a worker confined; ``rules`` and ``told`` are handles that ``start`` knows."""
    is_root = os.geteuid() == 0
    words = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--clearenv"]
    if is_root:
        # As another user, who is not root outside either: a namespace of users would leave root its exemptions.
        words = [word if word != "--unshare-all" else "--unshare-ipc" for word in words]
        words += ["--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
        for capability in ("SETUID", "SETGID", "SETPCAP"):
            words += ["--cap-add", f"CAP_{capability}"]
    if seccomp.program():
        words += ["--seccomp", str(rules)]
    words += ["--info-fd", str(told), *_system(), *_python(), *_course()]
    if models.is_dir():
        words += [*_parents(models), "--ro-bind", str(models), str(models)]
    words += ["--proc", "/proc", "--dev", "/dev"]
    for folder in WRITABLE:
        words += ["--size", str(WRITABLE_BYTES), "--perms", "1777", "--tmpfs", folder]
    if socket:
        words += ["--bind", str(socket), SOCKET]
    paths = os.pathsep.join([COURSE, *map(str, _packages())])
    for name, value in (_ENVIRONMENT | {"PYTHONPATH": paths, "COURSELIB_CACHE": str(models.parent)}).items():
        words += ["--setenv", name, value]
    # Else /dev has no limit of its size, and is the user's own where that is not root.
    words += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]  # noqa: S108 - as above
    if is_root:
        user = str(user_of(place))
        words += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--bounding-set=-all"]
        words += ["--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"]
    return [*words, sys.executable, "-B", WORKER]


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
    for folder in _packages():
        yield from (*_parents(folder), "--ro-bind", str(folder), str(folder))
        yield from _masks(PACKAGE) if PACKAGE.is_relative_to(folder) else ()


def _packages() -> list[Path]:
    """Folders of packages outside of Python's own, as a user's: no other folder of Python's path, which may be any."""
    own = ("/usr", sys.base_prefix, sys.prefix)
    found = [Path(each) for each in sys.path if Path(each).name in ("site-packages", "dist-packages")]
    return [each for each in found if each.is_dir() and not any(each.is_relative_to(folder) for folder in own)]


def _course() -> Iterator[str]:
    package = Path(COURSE, PACKAGE.name)
    yield from ("--perms", "0755", "--dir", COURSE, "--ro-bind", str(PACKAGE), str(package), *_masks(package))
    yield from ("--perms", "0755", "--dir", "/grader", "--ro-bind", str(PACKAGE / "grading" / "worker.py"), WORKER)


def _masks(package: Path) -> Iterator[str]:
    for name in HIDDEN:
        yield from ("--tmpfs", str(package / name), "--remount-ro", str(package / name))
