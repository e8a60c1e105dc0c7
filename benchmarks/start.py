"""What the course claims to be quick, as ratios against a named peer in one run.

    python benchmarks/start.py

1. Launch to first token: ``courselib.launch`` against the bare engine (``xllamacpp.Server`` in a fresh process, asked
   for one token). Both are timed from before the process starts; goal: at most 0.25 s more.
2. Streaming: tokens a second through the Playground's machinery (``ChatStream`` into ``TokenText``) against the bare
   ``openai`` client, same server, same request; goal: at least 0.97.
3. ``import courselib`` in a fresh interpreter, against an interpreter that imports nothing; goal: under 0.25 s more.

Runs alternate between the two, so that what else the machine does falls on both; medians are compared.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

import courselib
from courselib import models
from courselib.answers.stream import ChatStream, chat_messages
from courselib.engines.llamacpp.engine import default_threads
from courselib.panels.token_text import TokenText
from courselib.processes.ports import free_port

ROUNDS = 7
TOKENS = 200

BARE = """
import json, sys, urllib.request, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.port = sys.argv[1], 2048, int(sys.argv[2])
params.cpuparams.n_threads = int(sys.argv[3])
server = xllamacpp.Server(params)
body = json.dumps({"prompt": "Hello", "max_tokens": 1, "temperature": 0}).encode()
url = server.listening_address + "/v1/completions"
urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"})).read()
print("first token", flush=True)
"""


def seconds_to_first_token_bare(model: str) -> float:
    """Start the bare engine, wait for its first token."""
    begin = time.perf_counter()
    command = [sys.executable, "-c", BARE, model, str(free_port()), str(default_threads())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"first token"
    elapsed = time.perf_counter() - begin
    process.kill()
    process.wait()
    return elapsed


def seconds_to_first_token_courselib() -> float:
    """Launch through the course, which returns at the first token."""
    begin = time.perf_counter()
    with courselib.launch("llama.cpp", context=2048):
        return time.perf_counter() - begin


def request() -> dict[str, object]:
    """One request for both ways of streaming."""
    return {
        "max_tokens": TOKENS,
        "temperature": 0,
        "logprobs": True,
        "top_logprobs": 5,
        "extra_body": {"ignore_eos": True, "cache_prompt": False},
    }


def tokens_per_s_bare(server: courselib.Server) -> float:
    """The bare client, reading every chunk."""
    client = server.openai()
    messages = chat_messages("Tell me about rivers.")
    stream = client.chat.completions.create(model=server.model, messages=messages, stream=True, **request())
    times = [time.perf_counter() for chunk in stream if chunk.choices and chunk.choices[0].delta.content]
    return (len(times) - 1) / (times[-1] - times[0])


def tokens_per_s_playground(server: courselib.Server) -> float:
    """The playground's machinery: typed tokens into the view."""
    view = TokenText()
    times = []
    for token in ChatStream(server, chat_messages("Tell me about rivers."), **request()):
        view.feed(token)
        times.append(time.perf_counter())
    view.finish()
    return (len(times) - 1) / (times[-1] - times[0])


def seconds_of(code: str) -> float:
    """A fresh interpreter that runs ``code``."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begin


def main() -> None:
    """Measure all three and print them as JSON."""
    model = str(models.resolve("smollm2-135m"))
    seconds_to_first_token_bare(model)  # the file is in the page cache from here on
    starts = [(seconds_to_first_token_courselib(), seconds_to_first_token_bare(model)) for _ in range(ROUNDS)]
    with courselib.launch("llama.cpp", context=2048) as server:
        tokens_per_s_bare(server)
        speeds = [(tokens_per_s_playground(server), tokens_per_s_bare(server)) for _ in range(ROUNDS)]
    imports = [(seconds_of("import courselib"), seconds_of("")) for _ in range(ROUNDS)]
    results = {}
    for name, pairs in (("first_token_s", starts), ("tokens_per_s", speeds), ("import_s", imports)):
        ours, peer = (statistics.median(side) for side in zip(*pairs, strict=True))
        results[name] = {"courselib": round(ours, 3), "peer": round(peer, 3), "ratio": round(ours / peer, 3)}
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
