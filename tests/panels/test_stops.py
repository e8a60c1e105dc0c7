"""The stop inspector on a real engine."""

import contextlib
import dataclasses
import io
import math

import pytest

from courselib.errors import SettingsError
from courselib.observe.logits import next_token
from courselib.panels import stops
from courselib.panels.stops import Stops
from tests.panels.conftest import click

pytestmark = pytest.mark.engine

ROUTE = "llama.cpp /completion"


@pytest.fixture(scope="module")
def panel(server):
    panel = Stops(server)
    panel.run()
    return panel


def test_the_account_of_every_route_and_the_engine_itself(panel):
    accounts = panel.accounts()
    assert set(accounts) == set(stops.DIALECTS)
    assert accounts[ROUTE].text.endswith(" P")
    assert accounts[ROUTE].text == panel.seen["content"]
    assert panel.seen["stop_type"] == stops.DIALECTS[ROUTE].word(accounts[ROUTE].reason)
    assert accounts["TGI /generate"].reason == "eos"
    assert "Paris." in panel.as_table()
    assert repr(panel) == "Stops(engine='llama.cpp')"


def test_what_is_cut_is_struck_out_and_the_stop_marked(panel):
    panel.route.value = ROUTE
    assert "<span class='cl-cut cl-stop'>a</span>" in panel.text.value
    assert "<span class='cl-cut'>s</span>" in panel.text.value
    panel.route.value = "TGI /generate"
    assert "<span class='cl-cut" not in panel.text.value
    panel.route.value = ROUTE


def test_other_stops_need_no_other_answer(panel):
    before = panel.stops.value
    panel.stops.value = "France\n\\n"
    assert panel.ending.stop == ("France", "\n")
    assert panel.accounts()[ROUTE].text == "The capital of "
    assert panel.accounts()["TGI /generate"].text == "The capital of France"
    assert "&#x27;The capital of &#x27;" in panel.table.value
    panel.stops.value = before


def test_the_end_is_nearly_certain_after_the_sentence_and_nowhere_before(panel):
    *before, last = panel.made.ends
    assert last > 0.5
    assert 0 < max(before[:3]) < 1e-3


def test_small_probabilities_are_those_of_the_whole_vocabulary(server, panel):
    prompt = server.http.post(
        "/apply-template", json={"messages": [{"role": "user", "content": panel.prompt.value}]}
    ).json()["prompt"]
    told = next_token(server, prompt)
    assert math.log(panel.made.ends[0]) == pytest.approx(told.logprobs[2], abs=0.05)


def test_the_gauge_counts_the_servers_tokens(server, panel):
    assert panel.made.context == 1024
    assert f"prompt {panel.made.prompt_tokens}, answer" in panel.gauge.value
    assert 30 < panel.made.prompt_tokens < 60


def test_chinese_stops(server):
    panel = Stops(server, prompt="今天的天氣怎麼樣？", stop=("天氣",), max_tokens=12)
    accounts = panel.run()
    assert accounts[ROUTE].text == panel.seen["content"]
    assert accounts[ROUTE].stop == "天氣"
    assert "天</span>" in panel.text.value


def test_more_stops_than_some_take(panel):
    before = panel.stops.value
    panel.stops.value = "v\nw\nx\ny\nz"
    accounts = panel.accounts()
    assert accounts["TGI /generate"].reason == accounts["vLLM chat"].reason == "refused"
    assert "422" in panel.table.value
    panel.stops.value = before


def test_the_program_gives_what_the_account_says(server):
    panel = Stops(server, stop=("ari",), max_tokens=24)
    account = panel.run()["llama.cpp chat"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(panel.code.programs["openai"], "shown", "exec"), {"__name__": "__main__"})
    assert printed.getvalue().rstrip("\n") == account.text
    panel.min_tokens.value, panel.skip_special.value = 5, False
    assert {note.partition(":")[0] for note in panel.code.notes} >= {"min_tokens", "skip_special_tokens"}
    panel.min_tokens.value = 30
    assert "min_tokens" in panel._error.value
    panel.min_tokens.value = 0
    assert panel._error.value == ""


def test_special_tokens_are_written_by_vllm_alone(server):
    panel = Stops(server, stop=(), max_tokens=24)
    panel.run()
    before = panel.made
    special = dataclasses.replace(before.steps[3], data=b"<|im_start|>", special=True)
    panel.made = dataclasses.replace(before, steps=(*before.steps[:3], special, *before.steps[4:]))
    panel.skip_special.value = False
    for route, written in (("vLLM chat", True), (ROUTE, False), ("TGI chat", False)):
        panel.route.value = route
        assert ("im_start" in panel.text.value) == written
        assert ("<|im_start|>" in panel.accounts()[route].text) == written


def test_cancel(server):
    panel = Stops(server, max_tokens=64)
    panel.ignore_eos.value = True
    click(panel.run_button)
    click(panel.cancel_button)
    panel._worker.wait(30)
    assert panel.state == "cancelled"
    assert panel.made is None and not panel.run_button.disabled


def test_an_empty_prompt(server):
    panel = Stops(server, prompt="")
    with pytest.raises(SettingsError, match="empty"):
        panel.run()
    assert "empty" in panel._error.value
