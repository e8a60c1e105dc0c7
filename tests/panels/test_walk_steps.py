"""Steps of a walk on a fake of what an engine tells: clicks, other servers, failures, and two thousand tokens."""

import threading
import tracemalloc

import numpy as np
import pytest

from courselib.controls.controls import Controls
from courselib.errors import PanelBusy, SettingsError, Unreachable
from courselib.observe.logits import NextToken
from courselib.panels import walk as module
from courselib.panels.looking import Look
from courselib.panels.walk import Walk
from courselib.panels.walk_tree import MOST_ROWS, MOST_SHOWN
from courselib.sampling import Context
from tests.panels.conftest import click
from tests.panels.fake_llama_server import Desk, FakeLlamaServer

# After each token the next one by number is the likeliest.
VOCABULARY = 5_000
PIECES = {model: tuple(f" {model}{number}".encode() for number in range(VOCABULARY)) for model in ("one", "two")}
FAKED = Controls(temperature=1, top_k=0, top_p=1, min_p=0)


class FakeAnswers:
    """Stands for the engine's: counts questions, and holds them back while ``gate`` is closed."""

    def __init__(self):
        self.asked, self.gate, self.fails = [], threading.Event(), False
        self.gate.set()

    def next_token(self, server, tokens):
        self.asked.append(tokens)
        assert self.gate.wait(60)
        if self.fails:
            raise Unreachable("Nobody answers.")
        logprobs = np.full(VOCABULARY, -12.0)
        logprobs[(tokens[-1] + 1) % VOCABULARY] = -0.1
        return NextToken(tuple(tokens), logprobs, 0.0, PIECES[server.model])

    def look_at(self, server, _prompt):
        told = self.next_token(server, (0,))
        return Look("abc", told, np.exp(told.logprobs), Context((0,)))


@pytest.fixture
def answers(monkeypatch):
    made = FakeAnswers()
    monkeypatch.setattr(module, "next_token", made.next_token)
    monkeypatch.setattr(module, "look_at", made.look_at)
    return made


@pytest.fixture
def desk():
    with FakeLlamaServer("one") as one:
        yield Desk(server=one.server())


@pytest.fixture
def begun(answers, desk):
    panel = Walk(desk, prompt="abc", controls=FAKED)
    panel.begin()
    return panel


def test_no_click_is_dropped(begun, answers):
    """However fast they come: each of five waits for the one before it."""
    answers.gate.clear()
    for _click in range(5):
        click(begun.likeliest_button)
    assert begun.view.busy and begun.state == "busy" and not begun.likeliest_button.disabled
    answers.gate.set()
    begun.wait(30)
    assert [node.token for node in begun.path] == [1, 2, 3, 4, 5] and not begun.view.busy
    for _click in range(2):
        click(begun.back_button)
    begun.wait(30)
    assert [node.token for node in begun.path] == [1, 2, 3]


def test_a_choice_belongs_to_the_list_it_was_made_in(begun, answers):
    answers.gate.clear()
    click(begun.likeliest_button)
    begun.view._handle_custom_msg({"kind": "take", "token": 7, "at": 0}, [])
    answers.gate.set()
    begun.wait(30)
    assert begun.here.token == 7 and begun.here.parent == 0 and len(begun.result.nodes) == 3


def test_a_step_during_another_is_refused_to_a_program(begun, answers):
    answers.gate.clear()
    click(begun.likeliest_button)
    with pytest.raises(PanelBusy, match="still at work"):
        begun.take(2)
    answers.gate.set()
    begun.wait(30)
    assert [node.token for node in begun.path] == [1]


def test_cancel_forgets_the_steps_that_wait(begun, answers):
    answers.gate.clear()
    for _click in range(5):
        click(begun.likeliest_button)
    click(begun.cancel_button)
    answers.gate.set()
    begun.wait(30)
    assert len(begun.path) <= 1 and begun.state == "cancelled"


def test_a_step_that_fails_changes_nothing(begun, answers):
    begun.take(1)
    before = begun.result
    answers.fails = True
    with pytest.raises(Unreachable):
        begun.take(2)
    assert begun.result is before and "Nobody answers" in begun._error.value
    answers.fails = False
    assert begun.take(2) == " one1 one2"


def test_tokens_and_nodes_that_are_none(begun):
    with pytest.raises(SettingsError, match="There is no token -1; the vocabulary has those from 0 to 4,999"):
        begun.take(-1)
    with pytest.raises(SettingsError, match="There is no node 3"):
        begun.go(3)


def test_icons_are_those_of_every_front_end(begun):
    """In Font Awesome 4.7 (ipywidgets 7.7, on Colab) and 5 (ipywidgets 8) alike."""
    buttons = (begun.run_button, begun.engine_button, begun.likeliest_button, begun.back_button, begun.cancel_button)
    assert [each.icon for each in buttons] == ["play", "random", "arrow-up", "undo", "times"]


def test_the_prompt_is_shown_before_the_text(begun):
    begun.take(1)
    assert (begun.view.drawn["prompt"], begun.view.drawn["text"]) == ("abc", " one1")


def test_a_tree_of_one_model_is_never_gone_on_with_another(begun, desk, answers):
    begun.take(1)
    with FakeLlamaServer("two") as two:
        desk.server = two.server()
        begun.wait()
        assert begun.here is None and begun.text == "" and "another server (one)" in begun.stale.value
        assert begun.engine_button.disabled and "one1" not in begun.as_table()
        with pytest.raises(SettingsError, match="Press Begin first"):
            begun.take(1)
        begun.begin()
        assert begun.take(1) == " two1" and begun.stale.value == ""


def test_controls_that_change_are_those_shown(begun):
    """The last drawing is that of the last value, whoever else draws."""
    for temperature in (1.0, 0.5, 0.0):
        begun.form.controls = FAKED.with_(temperature=temperature)
        click(begun.likeliest_button)
    begun.wait(30)
    assert [row["p"] for row in begun.view.drawn["rows"]] == [1.0]


@pytest.mark.slow
def test_five_hundred_tokens_leave_a_few_rows_and_one_vocabulary(begun, answers):
    begun.take(1)
    tracemalloc.start()
    try:
        for _step in range(500):
            begun.follow(begun._step(module._likeliest))
        begun.wait(300)
        grown, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    tree = begun.result
    assert len(tree.path) == 501 and begun.text.endswith(" one501")
    assert len(tree.rows) <= MOST_ROWS + 1
    assert all(told.pieces is PIECES["one"] for _number, told in tree.rows)
    # All rows would be 20 MB.
    assert grown < 5e6, grown
    drawn = begun.view.drawn
    assert len(drawn["tree"]) == MOST_SHOWN and drawn["before"] == 502 - MOST_SHOWN and drawn["after"] == 0
    assert "… 302 more" in begun.as_table()
    # Back at the beginning, of which nothing is known any more: it is asked again.
    before = len(answers.asked)
    begun.go(5)
    assert len(answers.asked) == before + 1 and begun.here.number == 5 and begun.view.drawn["after"] > 0
    begun.go_back()
    begun.go(5)
    assert len(answers.asked) == before + 2
