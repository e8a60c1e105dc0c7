"""A model whose vocabulary adds BOS: it stands once at the beginning of every prompt, a conversation's included."""

import pytest

import courselib
from courselib import models
from tests.models.patched_gguf import patched_gguf

pytestmark = pytest.mark.engine
BOS = {"id": 1, "text": "<|im_start|>"}
TURNS = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\\n' }}{% endfor %}assistant:"
RENDERED = "user: Hi\nassistant:"
CONVERSATION = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}


@pytest.fixture(scope="module", params=["{{ bos_token }}", ""], ids=["in the template", "of the vocabulary alone"])
def model(request, tmp_path_factory):
    facts = {"tokenizer.ggml.add_bos_token": True, "tokenizer.chat_template": request.param + TURNS}
    return patched_gguf(models.resolve("smollm2-135m"), tmp_path_factory.mktemp("bos") / "bos.gguf", facts)


@pytest.fixture(scope="module")
def with_bos(model):
    with courselib.launch("tgi-gateway", model=str(model), context=128) as running:
        yield running


def test_a_conversation_begins_with_it_once(with_bos):
    told = with_bos.http.post("/chat_tokenize", json=CONVERSATION).json()
    assert told["templated_text"] == BOS["text"] + RENDERED
    first, second, *_others = told["tokenize_response"]
    assert (first, second["start"]) == ({**BOS, "start": 0, "stop": 12}, 12)
    assert "".join(token["text"] for token in told["tokenize_response"]) == told["templated_text"]


def prompt_tokens(server):
    return server.http.post("/v1/chat/completions", json=CONVERSATION).json()["usage"]["prompt_tokens"]


def test_as_many_prompt_tokens_as_llama_servers_own_chat(with_bos, model):
    with courselib.launch("llama.cpp", model=str(model), context=128) as server:
        assert prompt_tokens(with_bos) == prompt_tokens(server)


def test_a_prompt_gets_it_and_it_stands_nowhere_in_the_text(with_bos):
    tokens = with_bos.http.post("/tokenize", json={"inputs": "<|im_start|>Hi"}).json()
    assert tokens == [
        {"id": 1, "text": "", "start": 0, "stop": 0}, {**BOS, "start": 0, "stop": 12},
        {"id": 26843, "text": "Hi", "start": 12, "stop": 14},
    ]  # fmt: skip
    answer = with_bos.http.post("/generate", json={"inputs": "Hi", "parameters": {"max_new_tokens": 1}})
    assert answer.headers["x-prompt-tokens"] == "2"


def test_as_many_where_the_vocabulary_adds_none(gateway):
    with courselib.launch("llama.cpp", context=128) as server:
        assert prompt_tokens(gateway) == prompt_tokens(server)
