"""Our cache folder, and checking files in it.

A checksum of 98 MB takes about 70 ms, so a file that was verified is stamped with its size, time of change and
inode, and verified again only when one of these has changed. That notices every edit, copy and interrupted write, and
a changed byte as well; not a disk that changes bytes by itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Where the course keeps what it makes and fetches; ``COURSELIB_CACHE`` moves it."""
    return Path(os.environ.get("COURSELIB_CACHE") or platformdirs.user_cache_dir("courselib"))


def sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _stamp_file(path: Path) -> Path:
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]
    return cache_folder() / "verified" / name


def _stamp(path: Path, checksum: str) -> str:
    status = path.stat()
    return f"{checksum} {status.st_size} {status.st_mtime_ns} {status.st_ino}"


def is_verified(path: Path, checksum: str) -> bool:
    """Whether the file has that SHA-256; a file unchanged since it was last verified is not read again."""
    stamp = _stamp_file(path)
    with contextlib.suppress(OSError):
        if stamp.read_text() == _stamp(path, checksum):
            return True
    if sha256(path) != checksum:
        return False
    # A cache that cannot be written costs time, nothing else.
    with contextlib.suppress(OSError):
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(_stamp(path, checksum))
    return True
