"""A streamed answer: true tokens, honest numbers, and an end when one is asked for."""

import itertools
import threading
from types import SimpleNamespace

import pytest

import courselib
from courselib.answers.stream import ChatStream, chat_messages
from courselib.engines.server import Server
from courselib.errors import RequestRefused, SettingsError, Unreachable
from tests.waiting import wait_until

pytestmark = pytest.mark.engine

LETTERS = {"ignore_eos": True, "grammar": "root ::= [a-z ]+"}
"""An answer of this form has a chunk and a probability for each token: those of one character would come together."""


@pytest.fixture(scope="module")
def server():
    with courselib.launch("llama.cpp", context=1024) as running:
        yield running


def idle(server, timeout_s=30):
    wait_until(lambda: not server.metrics().running, timeout_s)


def test_tokens_add_up_to_the_answer(server):
    asked = {"max_tokens": 30, "temperature": 0, "logprobs": True, "top_logprobs": 3, "extra_body": LETTERS}
    stream = ChatStream(server, chat_messages("Name three rivers."), **asked)
    tokens = list(stream)
    assert b"".join(token.data for token in tokens).decode() == stream.answer.text
    assert all(token.logprob <= 0 and len(token.alternatives) == 3 for token in tokens)
    assert stream.answer.completion_tokens >= len(tokens)
    assert stream.answer.finish_reason in ("stop", "length")


def test_the_rate_is_that_of_the_clock(server, monkeypatch):
    """By a fake clock, on which ten chunks come a second."""
    ticks = itertools.count()
    clock = SimpleNamespace(perf_counter=lambda: next(ticks) / 10)
    monkeypatch.setattr("courselib.answers.stream.time", clock)
    stream = ChatStream(server, chat_messages("Count."), max_tokens=60, extra_body=LETTERS)
    list(stream)
    assert stream.answer.completion_tokens == 60
    # Besides the tokens' chunks come one before them, with the role, and one after them, with the reason of the end.
    assert stream.answer.tokens_per_s == pytest.approx(10, rel=0.05)
    assert stream.ttft_s == stream.answer.ttft_s == pytest.approx(0.2, abs=0.1)


def test_what_the_server_says_beside_openais_fields_is_kept(server):
    stream = ChatStream(server, chat_messages("Hi"), max_tokens=2, extra_body={"verbose": True, "top_k": 7})
    list(stream)
    assert stream.told["__verbose"]["generation_settings"]["top_k"] == 7


def test_an_engine_that_tells_no_probabilities_still_streams(server):
    stream = ChatStream(server, chat_messages("Name three rivers."), max_tokens=10, extra_body=LETTERS)
    tokens = list(stream)
    assert len(tokens) > 3
    assert {(token.logprob, token.alternatives) for token in tokens} == {(None, ())}


def test_a_loop_that_breaks_off_stops_the_engine(server):
    for _token in ChatStream(server, chat_messages("Tell me a long story."), max_tokens=900):
        break
    idle(server)


def test_close_from_another_thread_ends_the_iteration(server):
    stream = ChatStream(server, chat_messages("Tell me a long story."), max_tokens=900)
    read = []

    def read_all():
        for token in stream:
            read.append(token)

    reader = threading.Thread(target=read_all)
    reader.start()
    wait_until(lambda: len(read) > 3, 60)
    stream.close()
    reader.join(30)
    assert not reader.is_alive()
    assert len(read) < 800
    assert stream.answer is None
    idle(server)


def test_closed_before_it_began_it_gives_nothing(server):
    stream = ChatStream(server, chat_messages("Tell me a long story."), max_tokens=900)
    stream.close()
    assert list(stream) == []
    idle(server)


@pytest.mark.parametrize(
    ("prompt", "words"),
    [("", "prompt is empty"), ("   \n", "prompt is empty"), ("ab\ud83d", "Character 3 .*surrogate")],
)
def test_what_cannot_be_sent_reaches_no_server(prompt, words):
    with pytest.raises(SettingsError, match=words):
        chat_messages(prompt)


def test_our_own_mistakes_are_not_taken_for_an_answer_that_broke_off(server):
    with pytest.raises(TypeError, match="temperatur"):
        list(ChatStream(server, chat_messages("Hi"), temperatur=0))


def test_a_proxy_for_the_network_outside_is_not_asked(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert list(ChatStream(server, chat_messages("Hi"), max_tokens=2))


def test_what_the_server_refuses_is_told_in_its_words(server):
    with pytest.raises(RequestRefused, match="type must be number"):
        list(ChatStream(server, chat_messages("Hi"), max_tokens=2, extra_body={"top_k": "many"}))


def test_nobody_there(server):
    gone = Server(server.engine, "http://127.0.0.1:9", None)
    gone.__dict__["model"] = server.model  # as if it had answered before
    with pytest.raises(Unreachable):
        list(ChatStream(gone, chat_messages("Hi"), max_tokens=2))


@pytest.mark.parametrize("prompt", ["", " \n", "\udcff"])
def test_prompts_that_cannot_be_sent_are_refused_before_sending(prompt):
    with pytest.raises(SettingsError):
        chat_messages(prompt)
