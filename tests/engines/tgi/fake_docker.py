"""A stand-in for Docker's daemon and for TGI in it, neither of which every machine that runs the tests has.

The docker command and the docker package are real; they talk to this over a socket as they would to the daemon (API
1.47, messages of moby 28). A "container" listens on its published port and answers as TGI 3.3.7 does on the few routes
that a launch asks; like a real one it belongs to the daemon and survives the client that started it.
"""

import http.server
import json
import re
import socket
import socketserver
import struct
import sys
import threading
import time
from dataclasses import dataclass, field

IDS = iter(range(1, 10**6))
METRICS = """# TYPE tgi_queue_size gauge
tgi_queue_size 2
# TYPE tgi_batch_current_size gauge
tgi_batch_current_size 1
# TYPE tgi_request_input_length histogram
tgi_request_input_length_bucket{le="+Inf"} 3
tgi_request_input_length_sum 120
tgi_request_input_length_count 3
# TYPE tgi_request_generated_tokens histogram
tgi_request_generated_tokens_bucket{le="+Inf"} 3
tgi_request_generated_tokens_sum 60
tgi_request_generated_tokens_count 3
# TYPE tgi_request_mean_time_per_token_duration histogram
tgi_request_mean_time_per_token_duration_bucket{le="+Inf"} 4
tgi_request_mean_time_per_token_duration_sum 0.1
tgi_request_mean_time_per_token_duration_count 4
# TYPE tgi_request_skipped_tokens summary
tgi_request_skipped_tokens{quantile="0.5"} 7
tgi_request_skipped_tokens_sum 21
tgi_request_skipped_tokens_count 3
"""


class FakeTgi(http.server.BaseHTTPRequestHandler):
    """The routes that a launch asks for."""

    key = ""

    def do_GET(self):
        bodies = {
            "/info": ("application/json", json.dumps({"router": "text-generation-router", "version": "3.3.6-dev0"})),
            "/health": ("text/plain", ""),
            "/metrics": ("text/plain", METRICS),
            "/v1/models": ("application/json", json.dumps({"object": "list", "data": [{"id": "fake/tgi"}]})),
        }
        kind, body = bodies.get(self.path, ("text/plain", ""))
        self._answer(200 if self.path in bodies else 404, kind, body)

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("authorization", "").lower() != f"bearer {self.key}".lower():
            return self._answer(401, "text/plain", "")
        return self._answer(200, "application/json", json.dumps({"generated_text": "!"}))

    def _answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


@dataclass
class FakeContainer:
    name: str
    config: dict
    id: str = field(default_factory=lambda: f"{next(IDS):064x}")
    ended: threading.Event = field(default_factory=threading.Event)
    attached: threading.Event = field(default_factory=threading.Event)
    code: int = 0
    output: bytes = b""
    server: http.server.ThreadingHTTPServer | None = None

    def published(self):
        (binding,) = self.config["HostConfig"]["PortBindings"]["80/tcp"]
        return binding["HostIp"], int(binding["HostPort"])

    def environment(self):
        return dict(entry.split("=", 1) for entry in self.config["Env"])

    def start(self, dies_with=None):
        if dies_with:
            self.output, self.code = dies_with.encode(), 1
            self.ended.set()
            return
        handler = type("Handler", (FakeTgi,), {"key": self.environment()["API_KEY"]})
        self.server = http.server.ThreadingHTTPServer(self.published(), handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def end(self, code):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None
        self.code = code
        self.ended.set()


@dataclass
class FakeDockerDaemon:
    """Docker's daemon on a socket in ``folder``; ``requests`` holds what it was asked."""

    folder: object
    images: set = field(default_factory=set)
    registry: dict = field(default_factory=dict)  # image -> bytes of each of its layers
    refuse_start: str = ""  # what it says instead of starting a container
    dies_with: str = ""  # what TGI writes before it ends
    deaf: bool = False  # containers do not end on TERM
    containers: dict = field(default_factory=dict)
    requests: list = field(default_factory=list)
    created: list = field(default_factory=list)

    def __enter__(self):
        path = str(self.folder / "docker.sock")
        handler = type("Handler", (_Api,), {"daemon": self})
        self.server = _UnixServer(path, handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.host = f"unix://{path}"
        return self

    def __exit__(self, *_):
        for container in list(self.containers.values()):
            container.end(137)
        self.server.shutdown()
        self.server.server_close()

    def find(self, name):
        return next((c for c in self.containers.values() if name == c.name or c.id.startswith(name)), None)


# Windows has no such servers, and the tests that start this are skipped there.
UnixStreamServer = getattr(socketserver, "UnixStreamServer", socketserver.TCPServer)


class _UnixServer(socketserver.ThreadingMixIn, UnixStreamServer):
    daemon_threads = True

    def handle_error(self, _request, _address):
        """Clients of ours are killed on purpose: a broken pipe is theirs. Anything else is a fault of this file."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(_request, _address)


class _Api(http.server.BaseHTTPRequestHandler):
    daemon = None
    protocol_version = "HTTP/1.1"

    def handle_any(self):
        path, _, query = self.path.partition("?")
        path = re.sub(r"^/v1\.\d+", "", path)
        self.daemon.requests.append(f"{self.command} {path}")
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = path.strip("/").split("/")
        method = getattr(self, f"{self.command.lower()}_{parts[0].strip('_')}", None)
        if method is None:
            return self.send(404, {"message": f"page not found: {path}"})
        from urllib.parse import parse_qs

        return method(parts[1:], {key: values[0] for key, values in parse_qs(query).items()}, body)

    do_GET = do_POST = do_HEAD = do_DELETE = handle_any

    def send(self, status, value=None):
        body = b"" if value is None else value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Api-Version", "1.47")
        self.send_header("Ostype", "linux")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def head_ping(self, *_):
        self.send(200)

    def get_ping(self, *_):
        self.send(200, b"OK")

    def get_version(self, *_):
        self.send(200, {"Version": "28.0.0-fake", "ApiVersion": "1.47", "MinAPIVersion": "1.24", "Os": "linux"})

    def get_images(self, parts, _query, _body):
        name = "/".join(parts[:-1])
        found = name in self.daemon.images
        self.send(200 if found else 404, {"Id": "sha256:fake"} if found else {"message": f"No such image: {name}"})

    def post_images(self, _parts, query, _body):
        name = f"{query['fromImage']}:{query['tag']}"
        layers = self.daemon.registry.get(name)
        if layers is None:
            return self.send(404, {"message": f"manifest for {name} not found: manifest unknown: manifest unknown"})
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, size in enumerate(layers):
            layer = f"{number:012x}"
            if size < 0:
                self.chunk({"error": "write /var/lib/docker/tmp: no space left on device"})
                break
            for event in (
                {"status": "Pulling fs layer", "progressDetail": {}, "id": layer},
                {"status": "Downloading", "progressDetail": {"current": size // 2, "total": size}, "id": layer},
                {"status": "Download complete", "progressDetail": {}, "id": layer},
                {"status": "Pull complete", "progressDetail": {}, "id": layer},
            ):
                self.chunk(event)
        else:
            self.daemon.images.add(name)
        self.wfile.write(b"0\r\n\r\n")
        return None

    def chunk(self, event):
        line = json.dumps(event).encode() + b"\r\n"
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    def get_containers(self, parts, _query, _body):
        container = self.daemon.find(parts[0])
        if container is None:
            return self.send(404, {"message": f"No such container: {parts[0]}"})
        if parts[1] == "stats":
            usage = {"usage": 700 * 2**20, "limit": 16 * 2**30, "stats": {"inactive_file": 188 * 2**20}}
            return self.send(200, {"name": f"/{container.name}", "id": container.id, "memory_stats": usage})
        return self.send(200, {"Id": container.id, "Name": f"/{container.name}", "State": {"Running": True}})

    def post_containers(self, parts, query, body):
        if parts == ["create"]:
            return self.create(query["name"], json.loads(body))
        container = self.daemon.find(parts[0])
        if container is None:
            return self.send(404, {"message": f"No such container: {parts[0]}"})
        return getattr(self, parts[1])(container, query)

    def create(self, name, config):
        if taken := self.daemon.find(name):
            text = (
                f'Conflict. The container name "/{name}" is already in use by container "{taken.id}".'
                " You have to remove (or rename) that container to be able to reuse that name."
            )
            return self.send(409, {"message": text})
        if config["Image"] not in self.daemon.images:
            return self.send(404, {"message": f"No such image: {config['Image']}"})
        container = FakeContainer(name, config)
        self.daemon.containers[container.id] = container
        self.daemon.created.append(container)
        return self.send(201, {"Id": container.id, "Warnings": []})

    def attach(self, container, _query):
        self.wfile.write(
            b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n"
            b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        )
        container.attached.set()
        container.ended.wait()
        if container.output:
            self.wfile.write(struct.pack(">BxxxL", 2, len(container.output)) + container.output)
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def wait(self, container, _query):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        container.ended.wait()
        self.daemon.containers.pop(container.id, None)  # --rm, whether or not the client still listens
        time.sleep(0.05)  # the output goes first
        self.chunk({"StatusCode": container.code})
        self.wfile.write(b"0\r\n\r\n")

    def start(self, container, _query):
        if self.daemon.refuse_start:
            container.end(128)
            self.send(500, {"message": self.daemon.refuse_start})
            return
        container.start(self.daemon.dies_with)
        self.send(204)

    def kill(self, container, query):
        if not self.daemon.deaf:
            container.end(143)
        self.daemon.requests.append(f"signal {query.get('signal')}")
        self.send(204)

    def delete_containers(self, parts, _query, _body):
        container = self.daemon.find(parts[0])
        if container is None:
            return self.send(404, {"message": f"No such container: {parts[0]}"})
        container.end(137)
        self.daemon.containers.pop(container.id, None)
        return self.send(204)

    def log_message(self, *_):
        pass
