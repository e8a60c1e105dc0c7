"""What confined code may reach outside: one Unix socket, which leads to a recorder of requests or to an engine."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import socket
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from courselib.exercises import rigs

TURN = 65_536
MOST_CONNECTIONS = 32
# What is kept of a call's requests, together, and what may go to an engine; answers need a hundredth.
MOST_KEPT, MOST_SENT = 4 * 2**20, 16 * 2**20


class _Arrived(list[dict[str, Any]]):
    """Requests, as long as they are not too large together; those after that are not kept."""

    size = 0

    def append(self, request: dict[str, Any]) -> None:
        self.size += len(json.dumps(request))
        if self.size <= MOST_KEPT:
            super().append(request)


class UnixRecorder(rigs.Recorder):
    """The exercises' recorder of requests, at a Unix socket; it serves so many connections at a time, and no more."""

    address_family = socket.AF_UNIX

    def __init__(self, path: Path) -> None:
        socketserver.TCPServer.__init__(self, str(path), rigs._Handler)  # type: ignore[arg-type]
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self.forget()

    def forget(self) -> None:
        """Begin with no request."""
        self.arrived: list[dict[str, Any]] = _Arrived()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, as long as there are not too many."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def server_bind(self) -> None:
        """Bind without asking for a host's name, which a Unix socket has none of."""
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a request that broke off is the learner's, and what arrived is told."""


@contextmanager
def recorder() -> Iterator[tuple[Path, UnixRecorder]]:
    """A recorder and the socket at which it listens."""
    with _socket_path() as path:
        server = UnixRecorder(path)
        path.chmod(0o666)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield path, server
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


@contextmanager
def relay(port: int) -> Iterator[Path]:
    """A socket that leads to a port of this machine's loopback."""
    with _socket_path() as path, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        path.chmod(0o666)
        listening.listen()
        places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        threading.Thread(target=_accept, args=(listening, port, places), daemon=True).start()
        try:
            yield path
        finally:
            # Wakes the thread that accepts; closing alone does not.
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, port: int, places: threading.BoundedSemaphore) -> None:
    while True:
        try:
            inside, _address = listening.accept()
        except OSError:
            return
        if places.acquire(blocking=False):
            threading.Thread(target=_serve, args=(inside, port, places), daemon=True).start()
        else:
            inside.close()


def _serve(inside: socket.socket, port: int, places: threading.BoundedSemaphore) -> None:
    try:
        with inside, socket.create_connection(("127.0.0.1", port)) as engine:
            back = threading.Thread(target=_pump, args=(engine, inside), daemon=True)
            back.start()
            _pump(inside, engine, MOST_SENT)
            back.join()
    except OSError:
        pass
    finally:
        places.release()


def _pump(source: socket.socket, target: socket.socket, most: float = math.inf) -> None:
    with contextlib.suppress(OSError):
        while most > 0 and (data := source.recv(TURN)):
            target.sendall(data)
            most -= len(data)
    for each, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with contextlib.suppress(OSError):
            each.shutdown(how)


@contextmanager
def _socket_path() -> Iterator[Path]:
    # Short, since a socket's path has about a hundred bytes at most; in a folder that others may pass.
    folder = Path(tempfile.mkdtemp(prefix="courselib-"))
    folder.chmod(0o711)  # the confined user opens the socket in it
    try:
        yield folder / "socket"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
