"""The sweep over a penalty on a real engine: what is measured, kept, cancelled."""

import pytest

import courselib
from courselib.errors import SettingsError
from courselib.panels.penalty_sweep import VALUES, PenaltySweep
from tests.panels.conftest import click

pytestmark = pytest.mark.engine
FREQUENCY = VALUES["frequency_penalty"]


@pytest.fixture(scope="module")
def panel(server):
    panel = PenaltySweep(server, seeds=1, max_tokens=48)
    panel.run()
    return panel


def test_each_value_is_measured_with_each_seed(panel):
    assert [(point.value, point.seed) for point in panel.result] == [(value, 1) for value in FREQUENCY]
    assert all(0 <= share <= 1 for point in panel.result for share in (point.repetition, point.distinct, point.drift))
    assert panel.state == "done"
    assert panel.view.value.count("<g class='cl-line'>") == 4
    assert panel.view.value.count("<circle") == 4 * len(FREQUENCY)
    assert panel.as_table().count("\n") == len(FREQUENCY)
    assert repr(panel) == "PenaltySweep(engine='llama.cpp')"


def test_too_much_costs_likelihood(panel):
    by_value = {point.value: point for point in panel.result}
    assert by_value[2.0].logprob < by_value[0.0].logprob
    assert by_value[2.0].repetition <= by_value[0.0].repetition


def test_what_was_measured_is_kept_and_only_the_rest_measured(panel, monkeypatch):
    before = panel.result
    asked = []
    answer = panel._answer
    monkeypatch.setattr(panel, "_answer", lambda run, *what: asked.append(what) or answer(run, *what))
    assert panel.run() == before and not asked
    panel.seeds = 2
    panel.run()
    assert {seed for _value, seed in asked} == {2}
    assert len(panel.result) == 2 * len(before)
    panel.control = "presence_penalty"
    panel.wait()
    assert panel.result is None and "Changed since this result: control" in panel.stale.value
    panel.control, panel.seeds = "frequency_penalty", 1
    panel.wait()
    assert len(panel.result) == 2 * len(before) and not panel.stale.value


def test_cancel_keeps_what_there_is(server):
    panel = PenaltySweep(server, seeds=5, max_tokens=96)
    click(panel.run_button)
    click(panel.cancel_button)
    panel.wait(30)
    assert panel.state == "cancelled"
    assert len(panel.result or ()) < 5
    assert not panel.run_button.disabled


def test_an_empty_prompt(server):
    with pytest.raises(SettingsError, match="empty"):
        PenaltySweep(server, prompt=" ").run()


def test_the_program_of_the_strongest_answer_and_what_is_not_honoured(server):
    panel = PenaltySweep(server, control="dry_multiplier")
    panel.wait()
    assert "dry_multiplier" in panel.code.programs["openai"] and not any("ignores" in note for note in panel.code.notes)
    with courselib.launch("tgi-gateway", context=512) as gateway:
        panel = PenaltySweep(gateway, control="dry_multiplier")
        panel.wait()
        assert "dry" not in panel.code.programs["openai"]
        assert any(note.startswith("dry_multiplier: ") and "nearest" in note for note in panel.code.notes)
        panel.control = "presence_penalty"
        panel.wait()
        assert any("plus 2 as repetition_penalty" in note for note in panel.code.notes)
