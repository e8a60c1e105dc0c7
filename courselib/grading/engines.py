"""The engines that answers are measured with: each started once, when the first answer needs it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from courselib.engines.server import Server


class Engines:
    """Servers of llama.cpp by their settings; one answer at a time uses one, so that none disturbs another's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: dict[str, Server] = {}

    @contextmanager
    def server(self, settings: dict[str, Any]) -> Iterator[Server]:
        """The server with these settings, for the time of the context; started anew where it has ended."""
        import courselib

        with self._lock:
            name = json.dumps(settings)
            server = self._servers.get(name)
            if server is None or not server.is_running():
                server = self._servers[name] = courselib.launch("llama.cpp", **settings)
            yield server

    def stop(self) -> None:
        """Stop all."""
        for server in self._servers.values():
            server.stop()
        self._servers.clear()
