"""Its server: OpenAI's routes for models and completions, health, and metrics."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = os.environ["ECHO_KEY"]
COUNTED = {"echo_prompt_words_total": 0, "echo_words_total": 0}


class Handler(BaseHTTPRequestHandler):
    server_version = "echo-engine/1.0"

    def do_GET(self):
        if self.path == "/health":
            self.answer(200, b"")
        elif self.path == "/metrics":
            page = "".join(f"# TYPE {name.removesuffix('_total')} counter\n{name} {n}\n" for name, n in COUNTED.items())
            self.answer(200, page.encode(), "text/plain")
        elif self.allowed():
            self.answer(200, {"object": "list", "data": [{"id": "echo", "object": "model"}]})

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.allowed():
            return
        words = request["prompt"].split()
        said = words[-int(sys.argv[3]) :]
        COUNTED["echo_prompt_words_total"] += len(words)
        COUNTED["echo_words_total"] += len(said)
        usage = {"prompt_tokens": len(words), "completion_tokens": len(said), "total_tokens": len(words) + len(said)}
        choice = {"index": 0, "text": " ".join(said), "finish_reason": "stop"}
        about = {"id": "1", "object": "text_completion", "created": 0, "model": "echo"}
        self.answer(200, {**about, "choices": [choice], "usage": usage})

    def allowed(self):
        if self.headers.get("Authorization") == f"Bearer {KEY}":
            return True
        self.answer(401, {"error": {"message": "wrong key"}})
        return False

    def answer(self, status, body, kind="application/json"):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    print("echo engine listens", flush=True)
    ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
