"""Compare on real engines: the same request side by side, and what differs at the top."""

import pytest

import courselib
from courselib.controls.controls import Controls
from courselib.engines.server import Server
from courselib.errors import SettingsError, Unauthorized
from courselib.panels.compare import Compare
from tests.panels.conftest import click
from tests.waiting import wait_until

pytestmark = pytest.mark.engine

QUESTION = "Tell me the capital of France."
GREEDY = Controls(temperature=0, max_tokens=30)
CHANCE = Controls(temperature=1.5, max_tokens=30, seed=7)


@pytest.fixture(scope="module")
def gateway():
    with courselib.launch("tgi-gateway", max_total_tokens=1024) as running:
        yield running


def test_two_columns_answer_one_prompt_each_with_its_controls(server):
    panel = Compare((server, GREEDY), (server, CHANCE))
    first, second = panel.ask(QUESTION)
    messages = [{"role": "user", "content": QUESTION}]
    for text, controls in ((first, GREEDY), (second, CHANCE)):
        reply = server.openai().chat.completions.create(model=server.model, messages=messages, **controls.given())
        assert text == reply.choices[0].message.content
    assert first != second
    assert panel.state == "done"
    for column in panel.columns:
        assert column.answer.finish_reason in ("stop", "length") and column.answer.ttft_s > 0
        assert "time to first token" in column.facts.value
    assert "temperature=1.5" in panel.columns[1].code.programs["openai"]
    assert "temperature=0.0," in panel.columns[0].code.programs["openai"]


def test_both_columns_stream_at_the_same_time(server, gateway):
    panel = Compare((server, Controls(max_tokens=900, seed=1)), (gateway, Controls(max_tokens=900, seed=1)))
    panel.prompt = "Tell me a very long story."
    click(panel.run_button)
    wait_until(lambda: all(column.answer_view.text for column in panel.columns), 60)
    assert panel.state == "busy" and panel.run_button.disabled and not panel.cancel_button.disabled
    click(panel.cancel_button)
    panel.wait(30)
    assert {column.state for column in panel.columns} == {panel.state} == {"cancelled"}
    assert not panel.run_button.disabled and panel.cancel_button.disabled


class TestDifferences:
    def test_defaults_of_two_engines(self, server, gateway):
        panel = Compare(server, gateway)
        assert {"temperature", "top_k", "min_p"} <= set(panel.differences())
        assert "max_tokens" not in panel.differences(), "both columns set it alike"
        for words in ("1 · llama.cpp", "2 · tgi-gateway", "0.8 (default)", "<th scope='row'>min_p</th>"):
            assert words in panel.table.value

    def test_they_follow_the_forms(self, server):
        panel = Compare(server, server)
        assert "make the same call" in panel.table.value
        panel.columns[1].form.set_state({"entries": {"max_tokens": 128, "seed": 42, "top_k": 5}})  # as the page does
        panel.wait()
        assert set(panel.differences()) == {"top_k"}
        assert "40 (default)" in panel.table.value and "<td title='sent as top_k=5'>5</td>" in panel.table.value

    def test_what_is_not_honoured_is_told_though_both_ask_it(self, server):
        asked = Controls(max_tokens=10, no_repeat_ngram_size=2)
        panel = Compare((server, asked), (server, asked))
        assert set(panel.differences()) == {"no_repeat_ngram_size"}
        assert panel.table.value.count(">not available</td>") == 2

    def test_columns_on_one_server_say_that_their_times_are_shared(self, server, gateway):
        assert "may wait for each other" in Compare(server, server).table.value
        apart = Compare(server, gateway).table.value
        assert "may wait for each other" not in apart and "share its cores" in apart


def test_one_column_that_fails_does_not_stop_the_other(server):
    stranger = Server(server.engine, server.url, "wrong")
    stranger.__dict__["model"] = server.model
    panel = Compare((stranger, GREEDY), (server, GREEDY))
    with pytest.raises(Unauthorized):
        panel.ask(QUESTION)
    failed, well = panel.columns
    assert (failed.state, well.state, panel.state) == ("failed", "done", "failed")
    assert "another key" in failed._error.value and well._error.value == ""
    assert "Paris" in well.answer_view.text


def test_a_bad_control_is_told_in_its_column(server):
    panel = Compare(server, server)
    panel.columns[0].form.set_state({"entries": {"top_p": 3}})
    panel.columns[0].wait(10)  # until it is drawn
    assert "top_p is 3" in panel.columns[0]._error.value
    assert panel.columns[1]._error.value == ""


@pytest.mark.parametrize("count", [0, 1, 5])
def test_columns_are_two_to_four(server, count):
    with pytest.raises(SettingsError, match=f"given {count} columns; give it two to four"):
        Compare(*[server] * count)


def test_text_twin_and_fixed_repr(server, gateway):
    panel = Compare((server, GREEDY), (gateway, GREEDY))
    assert repr(panel) == "Compare(llama.cpp, tgi-gateway)"
    panel.ask(QUESTION)
    table = panel.as_table()
    assert "tgi-gateway (TGI's protocol, llama.cpp's engine)" in table.splitlines()[0]
    assert "tgi-gateway (TGI&#x27;s protocol, llama.cpp&#x27;s engine)" in panel._header.value
    for words in (
        "top_k",
        "40 (default)",
        "1 · llama.cpp: done",
        "2 · tgi-gateway: done",
        "Paris",
        "finish reason: stop",
    ):
        assert words in table
