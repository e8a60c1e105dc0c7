"""How far back a running model's layers look, where some do not look at the whole context."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from courselib.engines.server import Server

# llama.cpp b11549 logs it when it loads a model, at the verbosity that servers started here have; 0 stands for none.
WINDOW = re.compile(r"n_swa +=\s*(?P<tokens>\d+)")


def sliding_window(server: Server) -> int | None:
    """How many tokens back the layers with a sliding window look; None without any, or where the log is not ours."""
    found = WINDOW.search(server.logs())
    return int(found["tokens"]) or None if found else None
