"""The sweep over a penalty on a real engine: what is measured, kept, cancelled."""

import pytest

import courselib
from courselib.errors import SettingsError
from courselib.panels.penalty_sweep import VALUES, PenaltySweep
from tests.panels.conftest import click

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def panel(server):
    panel = PenaltySweep(server, seeds=1, max_tokens=48)
    panel.run()
    return panel


def test_each_value_is_measured_with_each_seed(panel):
    assert [(point.value, point.seed) for point in panel.points] == [
        (value, 1) for value in VALUES["frequency_penalty"]
    ]
    assert all(0 <= share <= 1 for point in panel.points for share in (point.repetition, point.distinct, point.drift))
    assert panel.state == "done"
    assert panel.bar.value == panel.bar.max == len(VALUES["frequency_penalty"])
    (picture,) = panel.curve.children
    assert list(picture.figure.data[0].x) == list(VALUES["frequency_penalty"])
    assert panel.as_table().count("\n") == len(VALUES["frequency_penalty"])
    assert repr(panel) == "PenaltySweep(engine='llama.cpp')"


def test_too_much_costs_likelihood(panel):
    by_value = {point.value: point for point in panel.points}
    assert by_value[2.0].logprob < by_value[0.0].logprob
    assert by_value[2.0].repetition <= by_value[0.0].repetition


def test_what_was_measured_is_kept_and_only_the_rest_measured(panel, monkeypatch):
    before = list(panel.points)
    asked = []
    answer = panel._answer
    monkeypatch.setattr(panel, "_answer", lambda *what: asked.append(what[1:]) or answer(*what))
    panel.run()
    assert panel.points == before and not asked
    panel.seeds.value = 2
    panel.run()
    assert {seed for _control, _value, seed in asked} == {2}
    assert len(panel.points) == 2 * len(before)
    panel.seeds.value = 1


def test_cancel_keeps_what_there_is(server):
    panel = PenaltySweep(server, seeds=5, max_tokens=96)
    click(panel.run_button)
    click(panel.cancel_button)
    panel._worker.wait(30)
    assert panel.state == "cancelled"
    assert len(panel.points) < 5
    assert not panel.run_button.disabled


def test_an_empty_prompt(server):
    with pytest.raises(SettingsError, match="empty"):
        PenaltySweep(server, prompt=" ").run()


def test_the_program_of_the_strongest_answer_and_what_is_not_honoured(server):
    panel = PenaltySweep(server, control="dry_multiplier")
    assert "dry_multiplier" in panel.code.programs["openai"] and not any("ignores" in note for note in panel.code.notes)
    with courselib.launch("tgi-gateway", context=512) as gateway:
        panel = PenaltySweep(gateway, control="dry_multiplier")
        assert "dry" not in panel.code.programs["openai"]
        assert any(note.startswith("dry_multiplier: ") and "nearest" in note for note in panel.code.notes)
        panel.control.value = "presence_penalty"
        assert any("plus 2 as repetition_penalty" in note for note in panel.code.notes)
