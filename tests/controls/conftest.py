"""One live engine of each kind for all tests of controls, started when the first asks for it."""

import os

import pytest

import courselib
from courselib.engines.llamacpp.native import native
from courselib.engines.vllm.environment import BIND, NO_COMPILER, OFFLINE
from courselib.engines.vllm.machine import look
from courselib.engines.vllm.model import find_model
from tests.controls.live import HttpRoute, LlamaRoute, SamplingParamsRoute, start_library

# Of the vLLM that all tests share, too.
CONTEXT = 512
SERVERS = {"llama.cpp": "llamacpp_server", "TGI": "gateway_server", "vLLM": "vllm_server"}


@pytest.fixture(scope="package")
def llamacpp_server():
    with courselib.launch("llama.cpp", context=2 * CONTEXT, parallel=2) as server:
        yield server


@pytest.fixture(scope="package")
def gateway_server():
    with courselib.launch("tgi-gateway", context=CONTEXT) as server:
        yield server


@pytest.fixture(scope="package")
def vllm_library(installed):
    """vLLM's library in a process of its own: the process, and what it tells of its defaults."""
    model = find_model("smollm2-135m", installed.python)
    environment = {**OFFLINE, BIND: look(installed).cpus, NO_COMPILER: "1"}
    process, told = start_library(installed.python, model.argument, {**os.environ, **environment})
    yield process, told
    process.stdin.close()
    process.wait(60)


@pytest.fixture(scope="package")
def llama(llama_cpp):
    return native(context=CONTEXT, logits_all=True)


@pytest.fixture(scope="package")
def tokenize(llamacpp_server):
    """Text to token ids; all engines here have the same vocabulary."""

    def ids(text):
        return llamacpp_server.http.post("/tokenize", json={"content": text, "add_special": False}).json()["tokens"]

    return ids


@pytest.fixture(scope="package")
def lives(request, tokenize):
    """Routes to ask, by name; what was found out about one is kept for all its tests."""
    made = {}

    def make(route):
        if route.path:
            return HttpRoute(route.name, tokenize, request.getfixturevalue(SERVERS[route.engine]))
        if route.engine == "vLLM":
            return SamplingParamsRoute(route.name, tokenize, *request.getfixturevalue("vllm_library"))
        return LlamaRoute(route.name, tokenize, request.getfixturevalue("llama"))

    return lambda route: made.get(route.name) or made.setdefault(route.name, make(route))
