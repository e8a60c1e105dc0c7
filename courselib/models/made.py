"""A file of the cache that is made from another one: once, by one process, and whole or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from courselib.errors import ModelError
from courselib.i18n import _
from courselib.models.locks import locked


def made_once(target: Path, make: Callable[[Path], None]) -> Path:
    """The file, made if it is not there.

    Args:
        target: the file.
        make: writes it to the path that it is given; what it leaves there when it fails is removed.

    Raises:
        ModelError: the file cannot be stored.
    """
    if target.exists():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(Path(f"{target}.lock"), target.name):
            if not target.exists():
                # Beside the target: a rename is only atomic within one file system.
                with tempfile.TemporaryDirectory(dir=target.parent, prefix="making-") as folder:
                    made = Path(folder) / target.name
                    make(made)
                    made.replace(target)
    except OSError as error:
        text = _("{file} cannot be stored: {reason}. Set COURSELIB_CACHE to another folder.")
        raise ModelError(text.format(file=target, reason=error.strerror)) from None
    return target
