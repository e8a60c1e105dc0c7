"""The panel "Does it really?" on a real engine: its own order agrees, another's is rejected, and nothing is lost."""

import json
from collections import Counter

import numpy as np
import pytest

import courselib
from courselib.controls.controls import Controls
from courselib.errors import EngineDied, PromptTooLong, SettingsError, Unreachable
from courselib.observe.logits import NextToken as Told
from courselib.panels import does_it_really as module
from courselib.panels.does_it_really import DoesItReally
from courselib.panels.looking import Look
from courselib.sampling import Context
from tests.panels.conftest import click
from tests.panels.fake_llama_server import Desk, FakeLlamaServer
from tests.waiting import wait_until

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
    assert result.agrees and result.draws == 500 and result is panel.agreement
    assert panel.counts.total() == 500
    assert "✓" in panel.verdict.value and "agree with this distribution" in panel.verdict.value
    rows = panel.bars.drawn["rows"]
    assert len(rows) == 4
    assert np.isclose(sum(row["predicted"] for row in rows), 1) and np.isclose(sum(row["drawn"] for row in rows), 1)
    assert all(row["band"][0] <= row["predicted"] <= row["band"][1] for row in rows)

    panel.order = "vllm"
    table = panel.as_table()
    assert not panel.agreement.agrees
    assert "✕" in panel.verdict.value and "the engine does not sample from it" in table
    assert len(panel.bars.drawn["rows"]) == 8
    panel.order = ""
    assert "agree with this distribution" in panel.as_table()


def test_draws_are_kept_for_every_setting(server):
    panel = DoesItReally(server, prompt=PROMPT, controls=APART)
    panel.sample(500)
    panel.form.controls = Controls(temperature=0)
    assert panel.agreement is None and panel.result is None and panel.counts.total() == 0
    assert [row["predicted"] for row in panel.bars.drawn["rows"]] == [1.0]
    panel.form.controls = APART
    assert panel.agreement.draws == 500
    assert panel.sample(500).draws == 1000


def test_a_token_that_is_impossible_is_named(server):
    panel = DoesItReally(server, prompt=PROMPT, controls=APART.with_(min_p=0.0, top_p=1.0))
    panel.sample(500)
    drawn = panel.result
    panel.form.controls = APART
    panel._kept.put(panel.asked, drawn)
    panel.order = "vllm"
    panel.order = ""
    assert panel.agreement.outside > 0
    assert any(row["outside"] for row in panel.bars.drawn["rows"])
    assert "impossible according to the prediction" in panel.as_table()


def test_cancel_keeps_what_was_drawn(server):
    panel = DoesItReally(server, prompt=PROMPT, controls=APART)
    panel.number = 10_000
    click(panel.run_button)
    wait_until(lambda: panel.counts.total(), 60)
    click(panel.cancel_button)
    panel.wait(30)
    assert panel.state == "cancelled"
    assert 0 < panel.counts.total() < 10_000
    assert panel.agreement.draws == panel.counts.total()
    assert not panel.run_button.disabled and panel.cancel_button.disabled


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
    assert len(panel.bars.drawn["rows"]) == rows


@pytest.mark.parametrize(
    ("prompt", "kind", "words"),
    [("", SettingsError, "The prompt is empty"), ("word " * 3000, PromptTooLong, "context")],
)
def test_a_prompt_that_cannot_be_asked(server, prompt, kind, words):
    panel = DoesItReally(server, prompt=prompt)
    with pytest.raises(kind, match=words):
        panel.sample(500)
    assert words in panel._error.value and panel.state == "failed"


def test_an_engine_that_is_gone_loses_nothing():
    with courselib.launch("llama.cpp", context=512, parallel=8) as short:
        panel = DoesItReally(short, prompt=PROMPT, controls=APART)
        panel.sample(500)
        short._process.stop()
        with pytest.raises((EngineDied, Unreachable)):
            panel.sample(500)
        assert panel.counts.total() == 500 and panel.agreement.agrees


def test_an_engine_that_tells_too_little():
    with courselib.launch("tgi-gateway", context=512) as gateway:
        panel = DoesItReally(gateway, prompt=PROMPT)
        with pytest.raises(SettingsError, match="only the 5 most likely"):
            panel.sample(500)


def test_repr_and_code(server):
    panel = DoesItReally(server, prompt=PROMPT, controls=APART)
    panel.wait()
    assert repr(panel) == "DoesItReally(engine='llama.cpp')"
    assert "max_tokens=1" in panel.code.programs["openai"] and "seed" not in panel.code.programs["openai"]


def test_what_is_sent_to_the_page_is_json(server):
    panel = DoesItReally(server, prompt=PROMPT, controls=APART)
    panel.sample(500)
    assert json.loads(json.dumps(panel.bars.drawn)) == panel.bars.drawn


# On fakes: two models that differ, drawn from by their own probabilities.


@pytest.fixture
def two_models(monkeypatch):
    random = np.random.default_rng(7)

    def look(server, prompt):
        shares = SHARES[server.model]
        pieces = tuple(str(token).encode() for token in range(shares.size))
        return Look(prompt, Told((0,), np.log(shares), 0.0, pieces), shares, Context(prompt=(0,)))

    def draws(server, _prompt, _controls, n):
        shares = SHARES[server.model]
        for size in [8] * (n // 8) + ([n % 8] if n % 8 else []):
            yield Counter(random.choice(shares.size, size, p=shares).tolist())

    monkeypatch.setattr(module, "look_at", look)
    monkeypatch.setattr(module, "draw", draws)
    with FakeLlamaServer("one") as one, FakeLlamaServer("two") as two, FakeLlamaServer("flat") as flat:
        yield one, two, flat


NEUTRAL = Controls(temperature=1, top_p=1, top_k=0, min_p=0)
SHARES = {"one": np.array([0.9, 0.1]), "two": np.array([0.1, 0.9]), "flat": np.full(5_000, 1 / 5_000)}


def test_draws_of_one_model_are_never_held_against_another(two_models):
    one, two, _flat = two_models
    desk = Desk(server=one.server())
    panel = DoesItReally(desk, controls=NEUTRAL)
    assert panel.sample(500).agrees
    desk.server = two.server()
    panel.wait()
    assert panel.counts.total() == 0 and panel.agreement is None and "another server (one)" in panel.stale.value
    assert panel.sample(500).agrees and panel.agreement.draws == 500


def test_ten_thousand_draws_of_thousands_of_tokens_are_drawn_while_they_come(two_models):
    panel = DoesItReally(two_models[2].server(), controls=NEUTRAL)
    assert panel.sample(10_000).draws == 10_000
    assert panel.bars.drawn["n"] == 10_000 and panel.state == "done"


def test_any_sensible_number_is_drawn_and_others_are_refused_in_a_sentence(two_models):
    panel = DoesItReally(two_models[0].server(), controls=NEUTRAL)
    assert panel.sample(1_500).draws == 1_500
    for number in (0, 1.5, 10**6):
        with pytest.raises(SettingsError, match="choose a whole number from 1 to 100,000"):
            panel.sample(number)
    assert panel.counts.total() == 1_500


def test_no_verdict_is_given_while_tokens_come(two_models, monkeypatch):
    seen = []
    monkeypatch.setattr(module, "_said", lambda verdict, *_more: seen.append(verdict) or "")
    panel = DoesItReally(two_models[0].server(), controls=NEUTRAL)
    panel.sample(2_000)
    assert seen[-1] is not None and not any(seen[:-1])
