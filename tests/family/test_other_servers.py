"""Servers that serve several models, or none that writes text: one sentence, or the model that is meant."""

import pytest

import courselib
from courselib.answers import stream as module
from courselib.answers.stream import ChatStream, chat_messages
from courselib.engines.refusals import refusal
from courselib.errors import PromptTooLong, RequestRefused, SettingsError
from courselib.observe.effective import server_defaults
from courselib.observe.logits import next_token, tokens_of
from courselib.panels.next_token import NextToken
from courselib.panels.playground import Playground
from tests.panels.fake_llama_server import NO_TEXT, FakeLlamaServer


def models(**states):
    return [{"id": name, "object": "model", "status": {"value": state}} for name, state in states.items()]


def test_of_a_routers_models_the_one_that_is_loaded():
    with FakeLlamaServer(models=models(big="unloaded", small="loaded")) as fake, courselib.attach(fake.url) as server:
        fake.replies["/tokenize"] = lambda asked: {"tokens": [ord(letter) for letter in asked["content"]]}
        assert server.model == "small"
        assert tokens_of(server, "Hi") == (72, 105)
        server_defaults(server)
        assert fake.named == ["small", "small"]


@pytest.mark.parametrize(
    ("listed", "words"),
    [(models(big="unloaded", other="failed"), r"loaded none of its models \(big, other\)"), ([], "has no model")],
    ids=["router", "empty"],
)
def test_a_server_that_has_loaded_nothing(listed, words):
    with FakeLlamaServer(models=listed) as fake, courselib.attach(fake.url) as server:
        with pytest.raises(SettingsError, match=words):
            next_token(server, "Hi")
        panel = Playground(server)
        with pytest.raises(SettingsError, match=words):
            panel.ask("Hi")
        assert panel.state == "failed"


def test_a_model_that_writes_no_text():
    fake = FakeLlamaServer(models=models(bert="loaded"), refusal=(NO_TEXT, 501))
    with fake, courselib.attach(fake.url) as server:
        with pytest.raises(RequestRefused, match="does not generate text"):
            NextToken(server).look()
        with pytest.raises(RequestRefused, match="does not generate text"):
            list(ChatStream(server, chat_messages("Hi"), max_tokens=1))


REFUSALS = {
    "vLLM without a template": (
        400, {"error": {"message": "As of transformers v4.44, default chat template is no longer allowed, so ..."}},
        RequestRefused, "no chat template",
    ),
    "TGI without a template": (
        422, {"error": "Template error: template not found", "error_type": "template_error"},
        RequestRefused, "no chat template",
    ),
    "TGI, too long": (
        422, {"error": "Input validation error: `inputs` must have less than 10 tokens. Given: 20"},
        PromptTooLong, "does not fit",
    ),
    "llama.cpp, too long": (
        400, {"error": {"type": "exceed_context_size_error", "message": "x", "n_prompt_tokens": 20, "n_ctx": 10}},
        PromptTooLong, "20 tokens, but the context holds 10",
    ),
    "no JSON": (502, None, RequestRefused, "refused the request: 502 Bad Gateway"),
    "a list": (400, ["x"], RequestRefused, "refused the request: 502 Bad Gateway"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_what_a_refusal_means(name):
    status, body, kind, words = REFUSALS[name]
    error = refusal(status, body, "502 Bad Gateway", "the evidence")
    assert type(error) is kind and words in error.message and error.details == "the evidence"


@pytest.mark.engine
def test_a_fault_of_ours_is_not_explained_away(two_ends, monkeypatch):
    def fail(_choice):
        raise AttributeError("ours")

    monkeypatch.setattr(module, "_chunk_tokens", fail)
    with pytest.raises(AttributeError, match="ours"):
        list(ChatStream(two_ends, chat_messages("Hi"), max_tokens=2))
