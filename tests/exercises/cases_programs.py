"""Answers to the exercises on whole programs."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

import httpx

from tests.exercises.cases import Case


def post(url, headers, body):
    """Without httpx, and without a proxy: status and JSON."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with opener.open(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def text(answer):
    return answer["choices"][0]["text"] if "choices" in answer else ""


def ported(*, path="/v1/completions", bearer="Bearer ", returns=text, without=(), **more):
    def generate(url, key, prompt, max_new_tokens):
        body = {"prompt": prompt, "max_tokens": max_new_tokens, "temperature": 0.0} | more
        body = {name: value for name, value in body.items() if name not in without}
        return returns(post(url + path, {"authorization": bearer + key}, body))

    return generate


def repaired(cut, *, bearer="Bearer ", joint=" "):
    def ask(url, key, prompt):
        headers, words = {"authorization": bearer + key}, prompt.split()
        answer = post(f"{url}/v1/completions", headers, {"prompt": prompt})
        most = answer.get("error", {}).get("n_ctx")
        if most:
            answer = post(f"{url}/v1/completions", headers, {"prompt": joint.join(cut(words, most))})
        return text(answer)

    return ask


def asked_httpx(path="/v1/completions", bearer="Bearer "):
    """With a client that raises where it is refused, or where there is no choice."""

    def ask(url, key, prompt, *_n):
        answer = httpx.post(
            url + path, json={"prompt": prompt}, headers={"Authorization": bearer + key}, trust_env=False
        )
        answer.raise_for_status()
        return answer.json()["choices"][0]["text"]

    return ask


def one_by_one(url, key, prompt):
    words = prompt.split()
    for start in range(len(words)):
        body = {"prompt": " ".join(words[start:])}
        answer = post(f"{url}/v1/completions", {"authorization": f"Bearer {key}"}, body)
        if "choices" in answer:
            return text(answer)
    return ""


CASES = {
    "port_program": Case(
        ported(),
        (
            (lambda url, key, prompt, n: " a text", "No request arrived"),
            (ported(path="/generate"), "another place"),
            (asked_httpx(path="/generate"), "another place"),
            (ported(returns=lambda answer: answer["generated_text"]), "KeyError: 'generated_text'"),
            (ported(bearer=""), "answered 401"),
            (ported(without=("max_tokens",)), "choose one of its own"),
            (ported(without=("temperature",)), "that arrived samples"),
            (ported(do_sample=False), "A setting of TGI"),
            (ported(returns=str), "does not return the text"),
        ),
    ),
    "repair_program": Case(
        one_by_one,
        (
            (repaired(lambda words, most: words, bearer=""), "answered 401"),
            (asked_httpx(bearer=""), "look at how the key stands"),
            (asked_httpx(), "none that fits"),
            (repaired(lambda words, most: words), "none that fits"),
            (repaired(lambda words, most: words[:most]), "not the end of the prompt"),
            (repaired(lambda words, most: words[-5:]), "More was cut off"),
            (repaired(lambda words, most: words[-most:], joint="\n"), "single spaces"),
        ),
    ),
}
