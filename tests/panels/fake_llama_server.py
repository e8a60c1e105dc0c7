"""A fake of llama-server: what it cannot be made to do here quickly, such as silence, or to be a router of models."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import traitlets

from courselib.engines.registry import get_engine
from courselib.engines.server import Server

NO_TEXT = {"error": {"code": 501, "message": "This server does not support completions", "type": "not_supported"}}
PROPS = {"default_generation_settings": {"params": {}, "n_ctx": 512}, "total_slots": 1}


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass

    def version_string(self):
        return "llama.cpp"

    def do_GET(self):
        fake = self.server.fake
        path, _mark, query = self.path.partition("?")
        fake.requests.append(path)
        if fake.silent.is_set() or path in fake.held:
            fake.released.wait(30)
        if path == "/props":
            fake.named += parse_qs(query).get("model", [])
        self.give({"/v1/models": {"data": fake.models()}, "/props": PROPS}.get(path))

    def do_POST(self):
        fake = self.server.fake
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fake.requests.append(self.path)
        fake.named += [asked["model"]] if "model" in asked else []
        if self.path in fake.held:
            fake.released.wait(30)
        reply = fake.replies.get(self.path)
        if fake.refusal and not reply:
            self.give(*fake.refusal)
            return
        body = reply(asked) if reply else None
        if isinstance(body, list):
            self.stream(body)
        else:
            self.give(body)

    def stream(self, events):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        with contextlib.suppress(OSError):
            for event in [*map(json.dumps, events), "[DONE]"]:
                self.wfile.write(f"data: {event}\n\n".encode())

    def give(self, body, status=200):
        data = json.dumps(body or {"error": {"message": "File Not Found"}}).encode()
        self.send_response(status if body else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with contextlib.suppress(OSError):  # who asked may have lost patience
            self.wfile.write(data)


class FakeLlamaServer:
    """Stands on a port of its own while the ``with`` lasts.

    Args:
        model: the name it serves.
        models: what ``/v1/models`` lists; by default that one model.
        refusal: body and status of its answer to a POST that ``replies`` has no function for; "not found" by default.
        silent: whether it takes connections and never answers.

    ``requests`` are the paths it was asked for, ``named`` the models that these named. Routes in ``held`` are not
    answered; what is posted to one of ``replies`` is answered by its function, as a stream where that gives a list.
    """

    def __init__(self, model="fake", *, models=None, refusal=None, silent=False):
        self.model, self.listed = model, models
        self.refusal, self.requests, self.named, self.held, self.replies = refusal, [], [], set(), {}
        self.silent, self.released = threading.Event(), threading.Event()
        if silent:
            self.silent.set()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.fake = self
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def models(self):
        """What ``/v1/models`` lists."""
        return [{"id": self.model, "owned_by": "llamacpp"}] if self.listed is None else self.listed

    def server(self):
        """A ``Server`` as ``attach`` would make it."""
        return Server(get_engine("llama.cpp"), self.url, None)

    def __enter__(self):
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_exception):
        self.released.set()
        self._http.shutdown()
        self._http.server_close()


class Desk(traitlets.HasTraits):
    """What a panel needs of ``Deploy``: a server, which may change."""

    engine_name = "llama.cpp"
    server = traitlets.Any(None, allow_none=True)
