"""Requests that begin and never end: an attack that costs a client nothing."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from urllib.parse import urlsplit

from courselib.network import server_root

HALF = b"POST /v1/completions HTTP/1.1\r\n"
CONNECT_TIMEOUT_S = 30.0


class HalfRequests:
    """Connections to a server, on each of which half a request is sent; use it with ``with``, or call ``stop``.

    Args:
        url: the server's address, with its port.
        number: how many connections.
        trust: what an encrypted connection trusts.

    Raises:
        SettingsError: that is no address.
        OSError: the server takes no connection.
    """

    def __init__(self, url: str, number: int, trust: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(server_root(url))
        host = parts.hostname or ""
        self._all: list[socket.socket] = []
        for _number in range(number):
            opened = socket.create_connection((host, parts.port or 80), timeout=CONNECT_TIMEOUT_S)
            if trust:
                opened = trust.wrap_socket(opened, server_hostname=host)
            self._all.append(opened)
            opened.sendall(HALF)

    def __enter__(self) -> HalfRequests:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def closed(self, within_s: float) -> int:
        """How many of them the server ends within so many seconds."""
        deadline = time.monotonic() + within_s
        return sum(_is_ended(each, deadline) for each in self._all)

    def stop(self) -> None:
        """Close them; may be called again."""
        for each in self._all:
            each.close()


def _is_ended(opened: socket.socket, deadline: float) -> bool:
    with contextlib.suppress(TimeoutError, ssl.SSLWantReadError):
        try:
            while True:
                opened.settimeout(max(deadline - time.monotonic(), 0.001))
                if not opened.recv(4096):
                    return True
        except ConnectionError:
            return True
    return False
