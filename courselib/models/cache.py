"""Our cache folder, and checksums of files in it.

A file with flipped bytes loads and answers rubbish, so every use asks for its SHA-256. That takes about 70 ms for
98 MB, so a file that was read is stamped with its size, times of change and inode, and read again when one of these is
another: every write, copy or exchange of the file is noticed at its next use, also one that puts the time of
modification back. Not noticed is a disk that changes bytes by itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import platformdirs

from courselib.errors import SettingsError
from courselib.i18n import _

DIGEST_LENGTH = 64


def cache_folder() -> Path:
    """Where the course keeps what it makes and fetches; ``COURSELIB_CACHE`` moves it.

    Raises:
        SettingsError: the user has no home folder, and that variable names no other.
    """
    if named := os.environ.get("COURSELIB_CACHE"):
        return Path(named)
    try:
        folder = platformdirs.user_cache_dir("courselib")
    except RuntimeError:
        folder = "~"
    # Older versions of platformdirs leave an unknown home as it is, and a folder of that name would be made here.
    if folder.startswith("~"):
        raise SettingsError(no_home_message("COURSELIB_CACHE"))
    return Path(folder)


def no_home_message(variable: str) -> str:
    """What to do where there is no home folder to keep files in."""
    return _(
        "This user has no home folder to keep downloads in; set the environment variable {variable} to a folder."
    ).format(variable=variable)


def sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal, read from beginning to end."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def checksum(path: Path) -> str:
    """A file's SHA-256 in hexadecimal; a file unchanged since it was last read is not read again.

    Raises:
        OSError: the file cannot be read.
    """
    # Taken before reading: a change while we read is then noticed the next time.
    state = _state(path)
    try:
        stamp = _stamp_file(path)
    except SettingsError:  # there is no cache
        return sha256(path)
    with contextlib.suppress(OSError, ValueError):
        *stamped, digest = stamp.read_text().split()
        # Another process may be writing the stamp: only a whole one counts.
        if stamped == state and len(digest) == DIGEST_LENGTH:
            return digest
    digest = sha256(path)
    # A cache that is not there or cannot be written costs time, nothing else.
    with contextlib.suppress(OSError):
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(" ".join([*state, digest]))
    return digest


def is_verified(path: Path, expected: str) -> bool:
    """Whether the file is there, can be read and has that SHA-256."""
    try:
        return checksum(path) == expected
    except OSError:
        return False


def _state(path: Path) -> list[str]:
    status = path.stat()
    return [str(n) for n in (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)]


def _stamp_file(path: Path) -> Path:
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]
    return cache_folder() / "verified" / name
