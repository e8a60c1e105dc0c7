"""Every panel with a model of another family, by its traits and its text, without a browser."""

import pytest

import courselib
from courselib.panels.chooser import Chooser
from tests.panels.conftest import click, raise_from_callbacks

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]

__all__ = ["raise_from_callbacks"]
PROMPT = "The capital of France is Paris. The capital of Italy is"
FEW = 64
BASE = "This model has no chat template"


@pytest.fixture(scope="module")
def desk(gemma):
    panel = courselib.Deploy(model=str(gemma), context=1024)
    yield panel
    if panel.server:
        panel.server.stop()


@pytest.fixture(scope="module")
def server(desk):
    """Started by the panel that starts servers."""
    click(desk.start_button)
    desk.wait(120)
    return desk.server


def test_deploy(desk, server):
    assert "gemma" in desk.as_table() and "running" in desk.state
    assert server.model in desk._header.value


def test_chooser(server):
    """It knows engines and no model; it is here so that no panel is left out."""
    assert server.engine_name in Chooser().as_table()


def test_next_token(server):
    panel = courselib.NextToken(server, prompt=PROMPT)
    outcome = panel.look()
    assert panel.told.pieces[int(outcome.probabilities.argmax())] == b" Rome"
    assert "' Rome'" in panel.as_table()


def test_walk(server):
    panel = courselib.Walk(server, prompt=PROMPT)
    panel.begin()
    assert panel.take(panel.view.drawn["rows"][0]["token"]) == " Rome"
    assert "> ' Rome'" in panel.as_table()
    panel.go_back()
    assert panel.text == ""


def test_does_it_really(server):
    panel = courselib.DoesItReally(server, prompt=PROMPT)
    assert panel.sample(FEW).agrees  # thousands are drawn from it elsewhere
    assert "' Rome'" in panel.as_table()


def test_stops(server):
    panel = courselib.Stops(server, prompt="Hello", stop=("zzz",), max_tokens=4)
    made = panel.run()
    assert panel.accounts()["llama.cpp /completion"].text == made.seen.text
    assert all(0 < chance < 1 for chance in made.ends)
    table = panel.as_table()
    assert BASE in table and "<end_of_turn>" in table and "look back over the last 512 only" in table


def test_playground(server):
    panel = courselib.Playground(server, controls=courselib.Controls(max_tokens=4, temperature=0))
    text = panel.ask("Hello")
    assert panel.answer_view.text.startswith(text) and panel.answer.prompt_tokens
    assert BASE in panel.as_table() and BASE in panel._remark.value


def test_compare(server):
    few = courselib.Controls(max_tokens=4, temperature=0)
    panel = courselib.Compare((server, few), (server, few.with_(top_k=5)))
    first, second = panel.ask("Hello")
    assert panel.as_table().count(BASE) == 1 and "top_k" in panel.as_table()
    assert first.strip() and second.strip()


def test_penalties(server):
    panel = courselib.Penalties(server, prompt="Hello", max_tokens=4)
    panel.run()
    assert all(side.tokens for side in panel.result.sides)
    heads, *rows = panel.look("B", 1)
    assert rows and len(heads) == len(rows[0])
    assert BASE in panel.as_table()


def test_penalty_sweep(server):
    panel = courselib.PenaltySweep(server, prompt="Hello", seeds=1, max_tokens=4)
    points = panel.run()
    assert len(points) == len({point.value for point in points}) > 1
    assert BASE in panel.as_table()
