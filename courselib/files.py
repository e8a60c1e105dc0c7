"""Files that are written whole or not at all, and files that only their owner may read."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old text or the new one, and never a part.

    Raises:
        OSError: the folder cannot be written; what was there before is untouched.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    written = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        written.chmod(0o644)
        written.replace(path)
    except OSError:
        written.unlink(missing_ok=True)
        raise


def write_secret(path: Path, text: str) -> None:
    """Write a new file that only this user may read (mode 600 from the first moment).

    Raises:
        OSError: it is there already, or the folder cannot be written.
    """
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def aside(path: Path, mark: str) -> Path:
    """A free name beside a file, to keep it under: ``x.json`` becomes ``x.mine-1.json``, with ``mark`` for ``mine``."""
    others = (path.with_name(f"{path.stem}.{mark}-{n}{path.suffix}") for n in range(1, 1000))
    return next(other for other in others if not other.exists())
