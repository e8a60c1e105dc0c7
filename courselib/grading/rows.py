"""A journal's file: a row of JSON in each line, on the disk as soon as it is added."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from courselib.errors import SettingsError
from courselib.i18n import _


def add(path: Path, row: Mapping[str, Any]) -> None:
    """Add a row; it is on the disk when this returns."""
    with path.open("ab") as file:
        file.write(json.dumps(row).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def load(path: Path, take: Callable[[dict[str, Any]], None]) -> None:
    """Hand over each row, in order. A last line that was being written when the program was ended is cut off.

    Args:
        path: the file; there may be none yet.
        take: given each row.

    Raises:
        SettingsError: a line is no row, or ``take`` cannot use it.
    """
    if not path.exists():
        return
    data = path.read_bytes()
    whole, newline, torn = data.rpartition(b"\n")
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            take(json.loads(line))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            text = _("Line {n} of {path} is no result. Take the line out, or use another folder for the results.")
            raise SettingsError(text.format(n=number, path=path)) from error
    if torn:
        os.truncate(path, len(whole) + len(newline))
