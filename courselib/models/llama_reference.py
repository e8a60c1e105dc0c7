"""What llama.cpp makes of some texts: their tokens, and the most likely tokens after each.

    python llama_reference.py MODEL.gguf REFERENCE.json TEXT...

Run as a file by ``directory.py``; never imported: a model that llama.cpp cannot read may end its process. The server
of the prebuilt wheel is asked, on this machine and with a key, and ends with the process.
"""

from __future__ import annotations

import json
import secrets
import sys
import urllib.request
from pathlib import Path
from typing import Any

CONTEXT = 512
# So many of the likeliest are compared one by one; all others are one more.
LIKELIEST = 1000
FORCE = 10_000


def start(model: str, key: str) -> Any:
    """llama.cpp's server on a free port of this machine."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [key]
    params.n_ctx, params.n_parallel = CONTEXT, 1
    return xllamacpp.Server(params)


def reference(model: str, texts: list[str]) -> list[dict[str, Any]]:
    """For each text its ``tokens``, and ``logprobs`` of the likeliest next tokens by id."""
    key = secrets.token_urlsafe()
    server = start(model, key)
    here = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(path: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        url = f"{server.listening_address}{path}"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - of this machine
        with here.open(request) as answer:
            return json.load(answer)

    # A token that ends within a character is held back, with all there is to tell of it: a plain one is forced instead,
    # by a bias that the probabilities told do not know of.
    (plain,) = ask("/tokenize", content="a", add_special=False)["tokens"]
    found = []
    for text in texts:
        tokens = ask("/tokenize", content=text, add_special=True, parse_special=True)["tokens"]
        body = {"n_predict": 1, "temperature": 0, "n_probs": LIKELIEST, "logit_bias": [[plain, FORCE]]}
        answer = ask("/completion", prompt=tokens, **body)
        likeliest = answer["completion_probabilities"][0]["top_logprobs"]
        found.append({"text": text, "tokens": tokens, "logprobs": {each["id"]: each["logprob"] for each in likeliest}})
    return found


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its modules must not be taken for somebody else's
    Path(sys.argv[2]).write_text(json.dumps(reference(sys.argv[1], sys.argv[3:])), encoding="utf-8")
