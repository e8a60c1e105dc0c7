"""The log that a process writes while we read it."""

from __future__ import annotations

import codecs
import threading
from pathlib import Path


class GrowingLog:
    """A log file that is only ever appended to: each look reads what is new.

    Args:
        path: the file; it need not exist yet, and what was read stays when it is gone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._text = ""
        self._position = 0
        # Half a character at the end of one look is completed by the next; bytes that are no text become escapes.
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="backslashreplace")
        self._lock = threading.Lock()

    def text(self) -> str:
        """All that has been written so far."""
        with self._lock:
            try:
                with self.path.open("rb") as file:
                    file.seek(self._position)
                    new = file.read()
            except FileNotFoundError:
                return self._text
            self._position += len(new)
            self._text += self._decoder.decode(new)
            return self._text
