"""A request that can be broken off while it waits, from any thread."""

from __future__ import annotations

import contextlib
import socket
from typing import Any


class Connection:
    """What an HTTP client is connected by; put ``watch`` among its event hooks for requests.

    Closing the client itself would end nothing: it closes between two pieces of an answer. Here the socket below it is
    shut down, even while the engine still reads the prompt, and the engine ends a stream whose client has gone.
    (llama.cpp, b11549, computes an answer in one piece to its end nevertheless; lesson 52 shows it.)
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.closed = False

    def watch(self, request: Any) -> None:
        """An event hook of httpx: have it say which socket the request goes through."""
        request.extensions["trace"] = self._connected

    def close(self) -> None:
        """Break off the request under way, or the next one; may be called when none is."""
        self.closed = True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it may have ended by itself
                self._socket.shutdown(socket.SHUT_RDWR)

    def _connected(self, event: str, info: dict[str, Any]) -> None:
        """Keep the socket (httpcore's trace extension tells of it)."""
        if event == "connection.connect_tcp.complete":
            self._socket = info["return_value"].get_extra_info("socket")
            if self.closed:
                self.close()
