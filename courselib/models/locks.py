"""One process at a time, and a word to those that wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from courselib.i18n import N_, _

# Others of a group may share a cache, so they may wait for its locks; the hub's own have this mode.
MODE = 0o664
FETCHING = N_("Another program is fetching {file}; waiting for it…")
CONVERTING = N_("Another program is making a Hugging Face directory from {file}; waiting for it…")


@contextmanager
def locked(path: Path, name: str, words: str = FETCHING) -> Iterator[None]:
    """Hold the lock ``path``, saying so if another process holds it.

    Args:
        path: the lock's file.
        name: the file that has to be waited for, for people.
        words: what the other process does with it.

    Raises:
        OSError: it cannot be made.
    """
    from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

    lock: BaseFileLock = FileLock(path, mode=MODE)
    try:
        try:
            lock.acquire(timeout=0)
        except NotImplementedError:  # a network's file system without locks
            lock = SoftFileLock(path, mode=MODE)
            lock.acquire(timeout=0)
    except Timeout:
        click.echo(_(words).format(file=name), err=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
