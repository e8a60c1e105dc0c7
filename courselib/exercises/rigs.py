"""A small server on this machine, to which a learner's program sends real requests, and which keeps what arrived.

It answers as llama.cpp's server does: refusals in its words (b11549), texts as ``/v1/completions`` gives them. No
model runs; a token is a word here.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "course-key"
TEXT = " a text"
CONTEXT = 12
REFUSED, TOO_LONG, UNKNOWN = 401, 400, 404
# What a program may send; the exercises' requests are far below.
MOST_BYTES, MOST_REQUESTS = 2**20, 200


class Recorder(ThreadingHTTPServer):
    """Keeps each request as ``{"method", "path", "key", "body"}``; the body is ``None`` where it is no JSON."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.arrived: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        """The server's root."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Recorder
    timeout = 10

    def do_GET(self) -> None:
        self._keep_and_answer()

    def do_POST(self) -> None:
        self._keep_and_answer()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: what arrived is told by the check."""

    def _keep_and_answer(self) -> None:
        try:
            text = self.rfile.read(max(0, min(int(self.headers.get("Content-Length") or 0), MOST_BYTES)))
            body = json.loads(text)
        except (ValueError, RecursionError):
            body = None
        key = self.headers.get("Authorization", "")
        if len(self.server.arrived) < MOST_REQUESTS:
            self.server.arrived.append({"method": self.command, "path": self.path, "key": key, "body": body})
        status, answer = answered(self.command, self.path, key, body)
        sent = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)


def answered(method: str, path: str, key: str, body: Any) -> tuple[int, dict[str, Any]]:
    """Status and JSON for one request."""
    if (method, path) != ("POST", "/v1/completions"):
        return UNKNOWN, _refusal(UNKNOWN, "File Not Found", "not_found_error")
    if key != f"Bearer {KEY}":
        return REFUSED, _refusal(REFUSED, "Invalid API Key", "authentication_error")
    prompt = body.get("prompt") if isinstance(body, dict) else None
    if not isinstance(prompt, str):
        return TOO_LONG, _refusal(TOO_LONG, "key 'prompt' not found", "invalid_request_error")
    tokens = len(prompt.split())
    if tokens > CONTEXT:
        words = f"request ({tokens} tokens) exceeds the available context size ({CONTEXT} tokens), try increasing it"
        more = {"n_prompt_tokens": tokens, "n_ctx": CONTEXT}
        return TOO_LONG, _refusal(TOO_LONG, words, "exceed_context_size_error", **more)
    return 200, {"object": "text_completion", "choices": [{"index": 0, "text": TEXT, "finish_reason": "length"}]}


def _refusal(code: int, message: str, kind: str, **more: int) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "type": kind, **more}}


@contextmanager
def recording(answer: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """The learner's ``answer(url, key, …)`` as a function of the rest: what it returned or raised, and what arrived.

    An exception is kept, not raised: what arrived before it shows why, such as a wrong key before a ``KeyError``.
    """
    server = Recorder()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()

    def call(*arguments: Any) -> dict[str, Any]:
        server.arrived.clear()
        returned, raised = None, ""
        try:
            returned = answer(server.url, KEY, *arguments)
        except NotImplementedError:
            raise
        except Exception as error:  # noqa: BLE001 - it is the learner's code: whatever it raises is told to them
            raised = f"{type(error).__name__}: {error}"
        return {"returned": returned, "raised": raised, "arrived": list(server.arrived)}

    try:
        yield call
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
