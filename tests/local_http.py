"""Small HTTP servers for tests: one that answers as told, and a proxy that records what it is asked and refuses it."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        self.server.asked.append((self.command, self.path))
        status, body = self.server.respond(self.command, self.path)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = "text/html" if isinstance(body, bytes) else "application/json"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_CONNECT = answer

    def version_string(self):
        return self.server.called


@contextlib.contextmanager
def serving(respond, *, called="fake", context=None, host="127.0.0.1"):
    """Serve ``respond(method, path) -> (status, JSON or bytes)``; gives the server, with ``url`` and ``asked``."""
    server = ThreadingHTTPServer((host, 0), Handler)
    server.respond, server.called, server.asked = respond, called, []
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.url = f"{'https' if context else 'http'}://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def refusing_proxy():
    return serving(lambda _method, _path: (403, b"no proxy of yours"))
