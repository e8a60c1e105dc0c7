"""Models that begin each text with BOS, and that end a turn with another token than a text."""

import contextlib
import math

import pytest

import courselib
from courselib.answers.stream import ChatStream, chat_messages
from courselib.controls.controls import Controls
from courselib.observe.chat_template import template_remark
from courselib.observe.draws import draw
from courselib.observe.endings import end_probability, end_tokens, spelled, written_as
from courselib.observe.logits import library_tokens, next_token, templated, tokens_of
from courselib.panels.does_it_really import DoesItReally
from courselib.panels.stops import DIALECTS, Stops
from tests.sure import QUESTION

BOS, END_OF_TEXT, END_OF_TURN = 1, 0, 2

live = pytest.mark.engine


@pytest.fixture(scope="module")
def stops(two_ends):
    panel = Stops(two_ends, prompt=QUESTION, stop=())
    panel.run()
    return panel


@live
def test_a_text_begins_with_bos_once(two_ends):
    assert tokens_of(two_ends, "Paris is")[0] == BOS
    assert BOS not in tokens_of(two_ends, "Paris is", special=False)
    conversation = templated(two_ends, chat_messages(QUESTION))
    # In this model BOS is what begins a turn, and there are three: of the system, the user and the assistant.
    assert conversation[0] == BOS and conversation[1] != BOS
    assert conversation.count(BOS) == 3


@live
def test_the_panel_asks_what_the_chat_asks(two_ends, stops):
    stream = ChatStream(two_ends, chat_messages(QUESTION), max_tokens=2)
    list(stream)
    assert len(stops.result.prompt) == stream.answer.prompt_tokens


@live
def test_the_end_of_a_turn_ends_the_answer(two_ends, stops):
    ends = end_tokens(two_ends)
    assert {END_OF_TEXT, END_OF_TURN} <= set(ends)
    last = stops.result.steps[-1]
    assert (last.data, last.special, last.ends) == (b"<|im_end|>", True, True)
    assert stops.result.ends[-1] > 0.5
    assert {account.reason for account in stops.accounts().values()} == {"eos"}
    assert stops.result.seen.reason == DIALECTS["llama.cpp /completion"].word("eos")
    assert "<|endoftext|>, <|im_end|>" in stops.as_table()
    assert "&lt;|im_end|&gt;" in stops.table.value


@live
def test_a_bias_on_each_end_leaves_none(two_ends):
    ends = end_tokens(two_ends)
    body = {
        "prompt": templated(two_ends, chat_messages(QUESTION)), "n_predict": 24, "temperature": 0,
        "return_tokens": True, "logit_bias": [[token, -100] for token in ends],
    }  # fmt: skip
    answer = two_ends.http.post("/completion", json=body).json()
    assert answer["stop_type"] == "limit" and not set(answer["tokens"]) & set(ends)


@live
def test_a_file_that_names_no_end_and_has_no_template(no_end):
    """llama.cpp finds ends by their names, and writes ChatML, which this model knows."""
    panel = Stops(no_end, prompt=QUESTION, stop=(), max_tokens=16)
    panel.run()
    assert panel.result.steps[-1].ends
    assert template_remark(no_end) == panel.remark == ""


def test_a_model_without_ends_is_not_asked():
    assert end_probability(None, [1], ()) == 0
    assert written_as(None, ()).startswith("none")


@live
def test_one_end_is_as_likely_as_the_distribution_has_it(two_ends):
    prompt = templated(two_ends, chat_messages(QUESTION))
    told = next_token(two_ends, prompt)
    alone = end_probability(two_ends, list(prompt), (END_OF_TURN,))
    assert alone == pytest.approx(math.exp(told.logprobs[END_OF_TURN]), rel=0.05)
    assert spelled(two_ends, END_OF_TURN) == "<|im_end|>"


@live
def test_what_is_drawn_comes_from_the_distribution_that_was_told(two_ends):
    panel = DoesItReally(two_ends, prompt="The capital of France is", controls=Controls(temperature=1))
    assert panel.sample(500).agrees


class FakeLibrary:
    """As much of ``llama_cpp.Llama`` as tokenizes: it may not be installed here."""

    def tokenize(self, text, add_bos=True, special=False):
        assert text == b"Hi" and special
        return [BOS, 7] if add_bos else [7]


def test_the_library_is_asked_for_bos():
    assert library_tokens(FakeLibrary(), "Hi") == [BOS, 7]


@live
def test_library_and_server_are_asked_the_same(llama_cpp, two_ends):
    with contextlib.closing(courselib.native(two_ends.settings.model, context=512)) as llm:
        prompt = "The capital of France is"
        assert next_token(llm, prompt).prompt == next_token(two_ends, prompt).prompt
        (drawn,) = draw(llm, prompt, Controls(temperature=0), 1)
        (served,) = draw(two_ends, prompt, Controls(temperature=0), 1)
        assert drawn == served
