"""What confined code may reach outside takes no more of this machine than an answer needs."""

import contextlib
import json
import socket
import socketserver
import threading

from courselib.exercises.rigs import KEY, TEXT
from courselib.grading import outside
from tests.waiting import wait_until


def connected(path):
    out = socket.socket(socket.AF_UNIX)
    out.connect(str(path))  # with a limit of time it would not wait for a place in the queue
    out.settimeout(20)
    return out


def posted(path, body):
    data = json.dumps(body).encode()
    head = f"POST /v1/completions HTTP/1.0\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(data)}\r\n\r\n"
    with connected(path) as out:
        out.sendall(head.encode() + data)
        return b"".join(iter(lambda: out.recv(65536), b""))


def test_what_arrives_is_kept_and_answered():
    with outside.recorder() as (path, server):
        assert TEXT.encode() in posted(path, {"prompt": "one two"})
        assert [each["body"] for each in server.arrived] == [{"prompt": "one two"}]
        server.forget()
        assert server.arrived == []
    assert not path.parent.exists()


def test_no_more_is_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(outside, "MOST_KEPT", 10_000)
    with outside.recorder() as (path, server):
        for size in (1000, 20_000, 10):
            posted(path, {"prompt": "x" * size})
        assert [len(each["body"]["prompt"]) for each in server.arrived] == [1000]


def test_connections_that_do_nothing_take_no_thread_each(monkeypatch):
    before, most = threading.active_count(), []
    with outside.recorder() as (path, _server), contextlib.ExitStack() as held:
        lines = [held.enter_context(connected(path)) for _ in range(3 * outside.MOST_CONNECTIONS)]
        for line in lines:
            line.setblocking(False)

        def are_refused():
            most.append(threading.active_count())
            return sum(map(_is_closed, lines)) >= 2 * outside.MOST_CONNECTIONS

        wait_until(are_refused)
        assert max(most) <= before + 1 + outside.MOST_CONNECTIONS
        held.close()
        # Their places are free again.
        wait_until(lambda: TEXT.encode() in _tried(path))


def _is_closed(line):
    try:
        return line.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _tried(path):
    try:
        return posted(path, {"prompt": "one"})
    except OSError:
        return b""


class Keeper(socketserver.ThreadingTCPServer):
    """A server on this machine that keeps what it is sent."""

    daemon_threads = True

    def __init__(self):
        self.got = 0
        super().__init__(("127.0.0.1", 0), Keep)


class Keep(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.server.got += len(data)
        self.request.sendall(b"done")


def test_an_engine_is_reached_and_not_flooded(monkeypatch):
    monkeypatch.setattr(outside, "MOST_SENT", 10**6)
    with Keeper() as server, outside.relay(server.server_address[1]) as path:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with connected(path) as out:
            out.sendall(b"x" * 1000)
            out.shutdown(socket.SHUT_WR)
            assert out.recv(10) == b"done"
        assert server.got == 1000
        with connected(path) as out, contextlib.suppress(OSError):
            for _ in range(100):
                out.sendall(b"x" * 10**5)
        wait_until(lambda: server.got > 10**6)
        assert server.got < 2 * 10**6
        server.shutdown()
