"""The panel "Does it really?" on a real engine: its own order agrees, another's is rejected, and nothing is lost."""

import json
import time

import numpy as np
import pytest

import courselib
from courselib.controls.controls import Controls
from courselib.engines.registry import get_engine
from courselib.engines.server import Server
from courselib.errors import PromptTooLong, SettingsError, Unreachable
from courselib.panels.does_it_really import DoesItReally
from tests.panels.conftest import click

pytestmark = [pytest.mark.engine, pytest.mark.slow]

PROMPT = "The weather today is"
# Of these the orders make much: four tokens survive in llama.cpp's, eight in vLLM's.
APART = Controls(temperature=1.5, top_p=0.7, top_k=20, min_p=0.05)


@pytest.fixture(scope="module")
def server():
    """With eight slots, which draw five times as many tokens a second as one."""
    with courselib.launch("llama.cpp", context=1024, parallel=8) as running:
        yield running


def test_its_own_order_agrees_and_anothers_does_not(server):
    panel = DoesItReally(server, prompt=PROMPT, controls=APART)
    result = panel.sample(500)
    assert result.agrees and result.draws == 500
    assert panel.counts.total() == 500
    assert "✓" in panel.verdict.value and "agree with this distribution" in panel.verdict.value
    rows = panel.view.drawn["rows"]
    assert len(rows) == 4
    assert np.isclose(sum(row["predicted"] for row in rows), 1) and np.isclose(sum(row["drawn"] for row in rows), 1)
    assert all(row["band"][0] <= row["predicted"] <= row["band"][1] for row in rows)

    panel.order.value = "vllm"
    table = panel.as_table()
    assert not panel.result.agrees
    assert "✕" in panel.verdict.value and "it is not what the engine samples from" in table
    assert len(panel.view.drawn["rows"]) == 8
    panel.order.value = ""
    assert "agree with this distribution" in panel.as_table()


def test_draws_are_kept_for_every_setting(server):
    panel = DoesItReally(server, prompt=PROMPT, controls=APART)
    panel.sample(500)
    panel.form.controls = Controls(temperature=0)
    panel.redraw()
    assert panel.result is None and panel.counts.total() == 0
    assert [row["predicted"] for row in panel.view.drawn["rows"]] == [1.0]
    panel.form.controls = APART
    panel.redraw()
    assert panel.result.draws == 500
    assert panel.sample(500).draws == 1000


def test_a_token_that_is_impossible_is_named(server):
    panel = DoesItReally(server, prompt=PROMPT, controls=APART.with_(min_p=0.0, top_p=1.0))
    panel.sample(500)
    panel.form.controls = APART
    panel._draws[PROMPT, APART] = panel._draws[PROMPT, APART.with_(min_p=0.0, top_p=1.0)]
    panel.redraw()
    assert panel.result.outside > 0
    assert any(row["outside"] for row in panel.view.drawn["rows"])
    assert "impossible by the prediction" in panel.as_table()


def test_cancel_keeps_what_was_drawn(server):
    panel = DoesItReally(server, prompt=PROMPT, controls=APART)
    panel.number.value = 10_000
    click(panel.sample_button)
    while not panel.counts.total():
        time.sleep(0.02)
    click(panel.cancel_button)
    panel._worker.wait(30)
    assert panel.state == "cancelled"
    assert 0 < panel.counts.total() < 10_000
    assert panel.result.draws == panel.counts.total()
    assert not panel.sample_button.disabled and panel.cancel_button.disabled


@pytest.mark.parametrize(
    ("controls", "rows"),
    [
        (Controls(temperature=0), 1),
        (Controls(temperature=1, top_p=1, top_k=10**6, min_p=0.2), 3),
        (Controls(temperature=1, top_k=1), 1),
    ],
)
def test_limits_of_the_controls(server, controls, rows):
    panel = DoesItReally(server, prompt=PROMPT, controls=controls)
    assert panel.sample(500).agrees
    assert len(panel.view.drawn["rows"]) == rows


@pytest.mark.parametrize(
    ("prompt", "kind", "words"),
    [("", SettingsError, "The prompt is empty"), ("word " * 3000, PromptTooLong, "context")],
)
def test_a_prompt_that_cannot_be_asked(server, prompt, kind, words):
    panel = DoesItReally(server, prompt=prompt)
    with pytest.raises(kind, match=words):
        panel.sample(500)
    assert words in panel._error.value and panel.state == "failed"


def test_an_engine_that_is_gone_loses_nothing(server):
    panel = DoesItReally(server, prompt=PROMPT, controls=APART)
    panel.sample(500)
    panel._source = Server(get_engine("llama.cpp"), "http://127.0.0.1:9", "k", settings=server.settings)
    panel._source.__dict__["model"] = server.model
    with pytest.raises(Unreachable):
        panel.sample(500)
    assert panel.counts.total() == 500
    panel.redraw()
    assert panel.result.agrees


def test_an_engine_that_tells_too_little():
    with courselib.launch("tgi-gateway", context=512) as gateway:
        panel = DoesItReally(gateway, prompt=PROMPT)
        with pytest.raises(SettingsError, match="only the 5 likeliest"):
            panel.sample(500)


def test_repr_and_code(server):
    panel = DoesItReally(server, prompt=PROMPT, controls=APART)
    assert repr(panel) == "DoesItReally(engine='llama.cpp')"
    assert "max_tokens=1" in panel.code.programs["openai"] and "seed" not in panel.code.programs["openai"]


def test_what_is_sent_to_the_page_is_json(server):
    panel = DoesItReally(server, prompt=PROMPT, controls=APART)
    panel.sample(500)
    assert json.loads(json.dumps(panel.view.drawn)) == panel.view.drawn
