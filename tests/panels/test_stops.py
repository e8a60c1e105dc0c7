"""The stop inspector: on a fake server what it does with its results, on a real engine that they are true."""

import contextlib
import io
import math

import ipywidgets.widgets.widget as widget_module
import numpy as np
import pytest

from courselib.answers.stream import chat_messages
from courselib.errors import SettingsError
from courselib.observe.endings import end_tokens
from courselib.observe.logits import next_token, templated
from courselib.panels import stops
from courselib.panels.stops import Stops
from tests.panels.conftest import click
from tests.panels.fake_answers import CITY, END, IS, MARKER, PARIS, SKY_1, SKY_2, STOP, THE, FakeAnswers
from tests.panels.fake_llama_server import Desk, FakeLlamaServer
from tests.sure import ANSWER, QUESTION

ROUTE = "llama.cpp /completion"
SHORT = [PARIS, IS, THE, CITY, STOP, END]


@pytest.fixture
def fake():
    with FakeLlamaServer("one") as running:
        running.answers = FakeAnswers(running, SHORT)
        yield running


def test_the_answer_is_made_once_and_asked_again_for_other_stops(fake):
    panel = Stops(fake.server(), stop=("the",))
    made = panel.run(20)
    assert (made.tokens, len(made.ends), made.ends[-1] > made.ends[0]) == (tuple(SHORT), len(SHORT), True)
    assert made.seen.text == "Paris is " == panel.accounts()[ROUTE].text
    before = len(fake.answers.completions)
    panel.stop = "city"
    assert panel.state == "done" and panel.accounts()[ROUTE].text == "Paris is the "
    assert "before the settings were changed" in panel.table.value
    assert panel.run(20).seen.text == "Paris is the " and len(fake.answers.completions) == before + 1
    assert "before the settings were changed" not in panel.table.value


def test_another_prompt_is_another_answer_and_the_old_one_is_marked(fake):
    panel = Stops(fake.server())
    panel.run(20)
    panel.prompt = "And of Spain?"
    panel.wait(10)
    assert panel.result is None and panel.accounts() == {} and "prompt" in panel.stale.value
    panel.prompt = Stops.prompt.default_value
    panel.ignore_eos = True
    panel.wait(10)
    assert "ignore_eos" in panel.stale.value and "eos" in panel.table.value


def test_another_server_and_vocabulary(fake):
    desk = Desk(server=fake.server())
    panel = Stops(desk, stop=())
    panel.run(20)
    with FakeLlamaServer("two") as other:
        FakeAnswers(other, [SKY_1, SKY_2, END])
        desk.server = other.server()
        panel.wait(10)
        assert panel.result is None and "from another server (one)" in panel.stale.value
        panel.run(20)
        assert panel.accounts()[ROUTE].text == "天" and panel.stale.value == ""
        assert "天" in panel.text.value and panel.result.tokens == (SKY_1, SKY_2, END)


def test_more_tokens_than_were_made_need_another_answer(fake):
    panel = Stops(fake.server(), stop=(), max_tokens=1)
    fake.answers.tokens = [THE] * 30
    panel.run(20)
    assert panel.accounts()[ROUTE].reason == "length"
    panel.max_tokens = 20
    assert ROUTE not in panel.accounts() and "too short to show" in panel.text.value
    panel.run(20)
    assert panel.accounts()[ROUTE].tokens == 20 and len(panel.result.tokens) == 24


def test_cancel_breaks_off_the_generation_itself(fake):
    panel = Stops(fake.server())
    fake.answers.holds.set()
    click(panel.run_button)
    assert fake.answers.waits.wait(10)
    click(panel.cancel_button)
    panel.wait(10)
    assert panel.state == "cancelled" and panel.result is None and not panel.run_button.disabled


def test_what_cancel_left_is_kept_and_gone_on_from(fake):
    panel = Stops(fake.server(), stop=("the",))
    fake.answers.before_chance = lambda: panel.progress[0] == 2 and panel.cancel()
    panel.run(20)
    kept = panel.result
    assert panel.state == "cancelled" and len(kept.ends) == 3
    assert len(panel.run(20).ends) == len(SHORT) and panel.result.tokens is kept.tokens


def test_widgets_do_not_grow_with_answers(fake):
    panel = Stops(fake.server())
    panel.run(20)
    before = len(widget_module._instances)
    for number in range(20):
        panel.prompt = f"number {number}"
        panel.run(20)
    assert len(widget_module._instances) == before


def test_stop_strings_are_read_as_in_the_form(fake):
    panel = Stops(fake.server())
    panel.inputs["stop"].value = "a\\tb\n\\n\n\\\\n\n"
    assert panel.stop == ("a\tb", "\n", "\\n") == panel.ending.stop
    assert panel.inputs["stop"].value.endswith("\n")  # what is being typed is left alone
    panel.stop = ["x\ty"]
    assert panel.inputs["stop"].value == "x\\ty"


def test_its_tables_have_heads_and_its_context_a_legend(fake):
    panel = Stops(fake.server())
    panel.run(20)
    assert "<th>" not in panel.table.value + panel.words.value
    assert panel.table.value.count("<th scope='row' role='rowheader'>") == len(stops.DIALECTS)
    assert "prompt 3" in panel.gauge.value and "free 508" in panel.gauge.value
    assert panel.curve.value.count("<circle") == len(SHORT)


def test_other_engines_are_refused_in_a_sentence(fake):
    desk = Desk(server=fake.server())
    desk.engine_name = "vllm"
    panel = Stops(desk)
    with pytest.raises(SettingsError, match="start such a server"):
        panel.run(20)


def test_special_tokens_are_written_by_vllm_alone(fake):
    fake.answers.tokens = [PARIS, MARKER, IS, END]
    panel = Stops(fake.server(), stop=(), skip_special_tokens=False)
    panel.run(20)
    for route, written in (("vLLM chat", True), (ROUTE, False), ("TGI chat", False)):
        panel.route = route
        panel.wait(10)
        assert ("marker" in panel.text.value) == written
        assert ("<|marker|>" in panel.accounts()[route].text) == written


# On a real engine.


@pytest.fixture(scope="module")
def panel(server):
    panel = Stops(server, prompt=QUESTION)
    panel.run()
    return panel


@pytest.mark.engine
def test_the_account_of_every_route_and_the_engine_itself(panel):
    accounts = panel.accounts()
    assert set(accounts) == set(stops.DIALECTS)
    assert accounts[ROUTE].text == "P"
    assert accounts[ROUTE].text == panel.result.seen.text
    assert panel.result.seen.reason == stops.DIALECTS[ROUTE].word(accounts[ROUTE].reason)
    assert accounts["TGI /generate"].reason == "eos"
    assert ANSWER in panel.as_table()
    assert repr(panel) == "Stops(engine='llama.cpp')"


@pytest.mark.engine
def test_what_is_cut_is_struck_out_and_the_stop_marked(panel):
    panel.route = ROUTE
    panel.wait()
    assert "<s class='cl-cut'><mark class='cl-stop-string'>ari</mark></s>" in panel.text.value
    assert "<s class='cl-cut'>s</s>" in panel.text.value
    panel.route = "TGI /generate"
    panel.wait()
    assert "class='cl-cut" not in panel.text.value
    panel.route = ROUTE


@pytest.mark.engine
def test_other_stops_need_no_other_answer(panel):
    before = panel.stop
    panel.inputs["stop"].value = "France\n\\n"
    assert panel.ending.stop == ("France", "\n")
    assert panel.accounts()[ROUTE].text == "Paris is the capital of "
    assert panel.accounts()["TGI /generate"].text == "Paris is the capital of France"
    assert "&#x27;Paris is the capital of &#x27;" in panel.table.value
    panel.stop = before


@pytest.mark.engine
def test_the_end_is_nearly_certain_after_the_sentence_and_nowhere_before(panel):
    *before, last = panel.result.ends
    assert last > 0.5
    assert 0 < max(before[:3]) < 1e-3


@pytest.mark.engine
def test_small_probabilities_are_those_of_the_whole_vocabulary(server, panel):
    told = next_token(server, templated(server, chat_messages(panel.prompt)))
    together = np.exp(told.logprobs[list(end_tokens(server))]).sum()
    assert math.log(panel.result.ends[0]) == pytest.approx(math.log(together), abs=0.05)


@pytest.mark.engine
def test_the_gauge_counts_the_servers_tokens(server, panel):
    assert panel.result.context == 1024
    assert f"prompt {len(panel.result.prompt)}, answer" in panel.gauge.value
    assert 30 < len(panel.result.prompt) < 60


@pytest.mark.engine
def test_chinese_stops(server):
    panel = Stops(server, prompt="今天的天氣怎麼樣？", stop=("天氣",), max_tokens=12)
    panel.run()
    accounts = panel.accounts()
    assert accounts[ROUTE].text == panel.result.seen.text
    assert accounts[ROUTE].stop == "天氣"
    assert "<mark class='cl-stop-string'>天</mark>" in panel.text.value


@pytest.mark.engine
def test_more_stops_than_some_take(panel):
    before = panel.stop
    panel.stop = tuple("vwxyz")
    accounts = panel.accounts()
    assert accounts["TGI /generate"].reason == accounts["vLLM chat"].reason == "refused"
    assert "422" in panel.table.value
    panel.stop = before


@pytest.mark.engine
def test_the_program_gives_what_the_account_says(server):
    panel = Stops(server, prompt=QUESTION, stop=("ari",), max_tokens=24)
    panel.run()
    account = panel.accounts()["llama.cpp chat"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(panel.code.programs["openai"], "shown", "exec"), {"__name__": "__main__"})
    assert printed.getvalue().rstrip("\n") == account.text
    panel.min_tokens, panel.skip_special_tokens = 5, False
    panel.wait()
    assert {note.partition(":")[0] for note in panel.code.notes} >= {"min_tokens", "skip_special_tokens"}
    panel.min_tokens = 30
    panel.wait()
    assert "min_tokens" in panel._error.value
    panel.min_tokens = 0
    panel.wait()
    assert panel._error.value == ""


@pytest.mark.engine
def test_an_empty_prompt(server):
    panel = Stops(server, prompt="")
    with pytest.raises(SettingsError, match="empty"):
        panel.run()
    assert "empty" in panel._error.value
