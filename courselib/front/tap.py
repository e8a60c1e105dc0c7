"""A relay between a client and a server on this machine that keeps all bytes that pass: what an eavesdropper sees."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit

from courselib.network import server_root


class Tap:
    """A relay in front of a server; use it with ``with``, or call ``stop``.

    Args:
        url: the server's address, with its port.

    Raises:
        SettingsError: that is no address.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(server_root(url))
        self._target = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"{parts.scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._seen = bytearray()
        self._start(self._accept)

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    @property
    def seen(self) -> bytes:
        """All bytes that have passed so far, in both directions."""
        return bytes(self._seen)

    def stop(self) -> None:
        """Take no more connections; may be called again."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                try:
                    server = socket.create_connection(self._target)
                except OSError:
                    client.close()
                    continue
                self._start(self._pass_on, client, server)
                self._start(self._pass_on, server, client)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._seen += data
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    @staticmethod
    def _start(work: object, *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()  # type: ignore[arg-type]
