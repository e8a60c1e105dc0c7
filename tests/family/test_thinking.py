"""A model that thinks before it answers: what it thinks is told apart, and nothing of it is lost."""

from types import SimpleNamespace

import pytest

from courselib.answers.stream import ChatStream, Token, _chunk_tokens, chat_messages
from courselib.controls.controls import Controls
from courselib.panels import playground as module
from courselib.panels.playground import Playground

# What is written is given, for the model was not trained to think.
GRAMMAR = 'root ::= "I should name a city." "</think>" "It is Paris."'
GIVEN = {"grammar": GRAMMAR, "reasoning_format": "auto"}


@pytest.mark.engine
@pytest.mark.parametrize("logprobs", [{"logprobs": True, "top_logprobs": 2}, {}], ids=["logprobs", "no logprobs"])
def test_tokens_add_up_to_thinking_and_answer(thinking, logprobs):
    stream = ChatStream(thinking, chat_messages("Which city?"), max_tokens=64, extra_body=GIVEN, **logprobs)
    tokens = list(stream)
    parts = {flag: b"".join(token.data for token in tokens if token.thinking is flag) for flag in (True, False)}
    assert parts[True].decode() == stream.answer.thinking == "I should name a city."
    assert parts[False].decode() == stream.answer.text == "It is Paris."
    assert all((token.logprob is not None) == bool(logprobs) for token in tokens)
    assert stream.answer.completion_tokens >= len(tokens)


@pytest.fixture
def playground(thinking, monkeypatch):
    """A panel whose answers are given."""
    asked = module.panel_arguments

    def given(plan):
        options = asked(plan)
        return {**options, "extra_body": {**options["extra_body"], **GIVEN}}

    monkeypatch.setattr(module, "panel_arguments", given)
    return Playground(thinking, controls=Controls(max_tokens=64, temperature=0))


@pytest.mark.engine
def test_a_panel_shows_both_and_answers_with_the_answer(playground):
    assert playground.ask("Which city?") == "It is Paris."
    assert playground.answer_view.text == "I should name a city.It is Paris."
    assert "21 characters before the answer" in playground.facts.value


@pytest.mark.engine
def test_an_answer_that_is_all_thinking(playground):
    playground.form.controls = Controls(max_tokens=3, temperature=0)
    assert playground.ask("Which city?") == ""
    assert playground.answer.finish_reason == "length"
    assert "raise max_tokens" in playground.facts.value


def chunk(delta, *entries):
    """A chunk as the client gives it; ``entries`` are the texts that have log-probabilities."""
    told = [SimpleNamespace(bytes=list(text.encode()), token=text, logprob=-0.5, top_logprobs=[]) for text in entries]
    return SimpleNamespace(
        delta=SimpleNamespace(**{"content": None, **delta}), logprobs=SimpleNamespace(content=told) if told else None
    )


def test_vllms_name_for_thinking():
    assert _chunk_tokens(chunk({"reasoning": "Hm"})) == [Token(b"Hm", thinking=True)]


def test_a_chunk_in_which_thinking_ends():
    both = {"reasoning_content": "so.", "content": "It is"}
    assert _chunk_tokens(chunk(both)) == [Token(b"so.", thinking=True), Token(b"It is")]
    with_logprobs = _chunk_tokens(chunk(both, "so", ".", "It", " is"))
    assert [(token.data, token.thinking) for token in with_logprobs] == [
        (b"so", True), (b".", True), (b"It", False), (b" is", False),
    ]  # fmt: skip
