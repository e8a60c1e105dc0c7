"""A stand-in for the Hugging Face hub, which cannot be reached from every machine that runs the tests.

It imitates what huggingface_hub 2.4 relies on: ``HEAD`` and ``GET`` of ``/owner/name/resolve/revision/file`` answer
302 to a content store under another origin, with the commit, size, entity tag (a large file's SHA-256) and the headers
of a repository on Xet; the store serves ranges. Refusals carry the hub's own error codes. ``GET`` of
``/api/models/owner/name/tree/revision`` lists the repository's files.
"""

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Refusal:
    status: int
    code: str = ""
    message: str = ""


@dataclass
class FakeHub:
    """Serves ``files`` ("owner/name/path" -> bytes); what it was asked is in ``requests``."""

    files: dict = field(default_factory=dict)
    refuse: Refusal | None = None
    breaks: list = field(default_factory=list)  # bytes after which each of the next downloads breaks off
    stall_after: int | None = None  # bytes after which a download stands still
    damage: bool = False  # serve other bytes than announced
    announce_size: bool = True
    claim_size: int | None = None
    requests: list = field(default_factory=list)

    def __enter__(self):
        hub = self

        class Handler(_Handler):
            pass

        Handler.hub = hub
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def downloads(self):
        """The ranges asked of the store, None for a whole file."""
        return [request["range"] for request in self.requests if request["path"].startswith("/store/")]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def _answer(self):
        get = self.headers.get
        self.hub.requests.append(
            {"method": self.command, "path": self.path, "range": get("Range"), "token": get("Authorization")}
        )
        if self.path.startswith("/store/"):
            return self._store(self.path.removeprefix("/store/"))
        if self.path.startswith("/api/models/"):
            return self._tree(self.path.removeprefix("/api/models/").partition("/tree/")[0])
        refusal = self.hub.refuse
        place, _, rest = self.path.lstrip("/").partition("/resolve/")
        content = self.hub.files.get(f"{place}/{unquote(rest.partition('/')[2])}")
        if refusal is None and not any(name.startswith(place + "/") for name in self.hub.files):
            refusal = Refusal(401, "RepoNotFound")  # the hub does not tell a private one from none
        if refusal is None and content is None:
            refusal = Refusal(404, "EntryNotFound")
        return self._refuse(refusal) if refusal else self._redirect(content)

    def _refuse(self, refusal):
        names = {"X-Error-Code": refusal.code, "X-Error-Message": refusal.message, "X-Repo-Commit": COMMIT}
        return self._headers(refusal.status, names)

    def _tree(self, repository):
        names = [name.removeprefix(repository + "/") for name in self.hub.files if name.startswith(repository + "/")]
        refusal = self.hub.refuse or (None if names else Refusal(401, "RepoNotFound"))
        if refusal:
            return self._refuse(refusal)
        body = json.dumps([{"type": "file", "oid": "0" * 40, "size": 1, "path": name} for name in names]).encode()
        self._headers(200, {"Content-Type": "application/json", "Content-Length": str(len(body))}, end=False)
        return self.wfile.write(body)

    def _redirect(self, content):
        tag = hashlib.sha256(content).hexdigest()
        headers = {
            "Location": f"http://localhost:{self.hub.port}/store/{tag}",
            "X-Repo-Commit": COMMIT,
            "X-Linked-Etag": f'"{tag}"',
            "X-Xet-Hash": tag,
            "Link": f'<{self.hub.url}/api/models/o/n/xet-read-token/{COMMIT}>; rel="xet-auth"',
        }
        if self.hub.announce_size:
            headers["X-Linked-Size"] = str(self.hub.claim_size or len(content))
        return self._headers(302, headers)

    def _store(self, tag):
        content = next(c for c in self.hub.files.values() if hashlib.sha256(c).hexdigest() == tag)
        if self.hub.damage:
            content = content[:-1] + bytes([content[-1] ^ 1])
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        begin, end = int(first), min(int(last or len(content)) + 1, len(content))
        body = content[begin:end]
        headers = {"Content-Length": str(len(body))}
        if partly := len(body) < len(content):
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{len(content)}"
        self._headers(206 if partly else 200, headers, end=False)
        until = self.hub.breaks.pop(0) if self.hub.breaks else self.hub.stall_after
        self.wfile.write(body[:until])
        if until is not None and self.hub.stall_after is not None:
            time.sleep(60)
        self.close_connection = until is not None
        return

    def _headers(self, status, headers, *, end=True):
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        if end:
            self.send_header("Content-Length", "0")
        self.end_headers()
