"""The panel Walk on a real engine: take, go back, branch; the exported program leads the same way; nothing is lost."""

import contextlib
import io
import json

import numpy as np
import pytest

import courselib
from courselib.controls.controls import Controls
from courselib.errors import CourseError, EngineDied, PromptTooLong, SettingsError, Unreachable
from courselib.observe.logits import next_token
from courselib.panels.walk import Walk
from tests.panels.conftest import click

pytestmark = [pytest.mark.engine, pytest.mark.slow]

PROMPT = "The weather today is"
TAMED = Controls(temperature=0.8, min_p=0.1, seed=42)


def walk(server, prompt=PROMPT, controls=TAMED):
    panel = Walk(server, prompt=prompt, controls=controls)
    panel.begin()
    return panel


def texts(panel):
    return [node["text"] for node in panel.view.drawn["tree"]]


def test_take_go_back_and_branch(server):
    panel = walk(server)
    rows = panel.view.drawn["rows"]
    assert 1 < len(rows) <= 10
    assert [row["p"] for row in rows] == sorted((row["p"] for row in rows), reverse=True)
    panel.take(rows[0]["token"])
    panel.take()
    way = panel.here
    assert len(panel.path) == 2 and panel.text == b"".join(node.piece for node in panel.path).decode()
    click(panel.back_button)
    click(panel.back_button)
    panel.wait()
    assert panel.here.number == 0 and panel.text == ""
    panel.take(rows[1]["token"])
    assert texts(panel)[1:] == [rows[0]["text"], texts(panel)[2], rows[1]["text"]], "both ways are kept"
    panel.go(way.number)
    assert panel.here is way
    # The same token again is the same node.
    panel.go(0)
    panel.take(rows[0]["token"])
    assert panel.here.number == way.parent and len(panel.view.drawn["tree"]) == 4


def test_the_page_chooses_by_messages(server):
    panel = walk(server)
    token = panel.view.drawn["rows"][1]["token"]
    panel.view._handle_custom_msg({"kind": "take", "token": token, "at": 0}, [])
    panel.wait(30)
    assert panel.here.token == token
    panel.view._handle_custom_msg({"kind": "go", "number": 0}, [])
    panel.wait(30)
    assert panel.here.number == 0
    panel.view._handle_custom_msg({"kind": "go", "number": 99}, [])
    with pytest.raises(SettingsError, match="There is no node 99; the last one is 1"):
        panel.wait(30)
    assert panel.here.number == 0
    assert json.loads(json.dumps(panel.view.drawn)) == panel.view.drawn


def test_what_is_shown_is_what_the_engine_draws_from(server):
    panel = walk(server)
    panel.take(panel.view.drawn["rows"][0]["token"])
    tree = panel.result
    body = {"prompt": tree.tokens_to(tree.here), "n_predict": 1, "n_probs": 10, "post_sampling_probs": True}
    wire = {"temperature": 0.8, "min_p": 0.1}
    told = server.http.post("/completion", json={**body, **wire}).json()["completion_probabilities"][0]["top_probs"]
    shown = {row["token"]: row["p"] for row in panel.view.drawn["rows"]}
    assert {entry["id"]: pytest.approx(entry["prob"], abs=1e-6) for entry in told if entry["prob"]} == shown


def test_a_seed_repeats_the_engines_choices(server):
    ways = []
    for _time in range(2):
        panel = walk(server, controls=TAMED.with_(temperature=1.5))
        for _step in range(3):
            panel.take()
        ways.append([node.token for node in panel.path])
    assert ways[0] == ways[1]


def test_each_step_keeps_the_controls_it_was_taken_under(server):
    panel = walk(server)
    panel.take()
    panel.form.controls = Controls(temperature=0)
    panel.as_table()  # waits for the redraw
    assert [row["p"] for row in panel.view.drawn["rows"]] == [1.0]
    panel.take()
    assert [node.controls.temperature for node in panel.path] == [0.8, 0.0]
    assert "temperature=0.0" in panel.view.drawn["tree"][-1]["controls"]


def test_the_exported_program_leads_the_same_way(server):
    panel = walk(server)
    assert panel.code.programs == {}
    panel.take(panel.view.drawn["rows"][2]["token"])
    panel.take(panel.view.drawn["rows"][1]["token"])
    panel.take()
    program = panel.code.programs["openai"]
    assert "courselib" not in program
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "exported", "exec"), {"__name__": "__main__"})
    assert printed.getvalue() == panel.text


def test_chinese_is_never_broken(server):
    panel = walk(server, "今天的天氣", Controls(temperature=1, top_k=10))
    half = next(row["token"] for row in panel.view.drawn["rows"] if row["text"].startswith("⟨0x"))
    panel.take(half)
    assert panel.text.startswith("⟨0x") and "\ufffd" not in panel.as_table()
    assert any("parts of a character" in note for note in panel.code.notes)
    for _step in range(3):
        panel.take(panel.view.drawn["rows"][0]["token"])
    assert "\ufffd" not in panel.text


@pytest.mark.parametrize(
    ("prompt", "kind", "words"),
    [("", SettingsError, "The prompt is empty"), ("word " * 3000, PromptTooLong, "context")],
)
def test_a_prompt_that_cannot_be_asked(server, prompt, kind, words):
    panel = Walk(server, prompt=prompt)
    with pytest.raises(kind, match=words):
        panel.begin()
    assert words in panel._error.value and panel.state == "failed" and panel.here is None
    assert panel.engine_button.disabled
    with pytest.raises(SettingsError, match="Press Begin first"):
        panel.take()


def test_an_engine_that_stops_in_mid_walk_loses_nothing():
    with courselib.launch("llama.cpp", context=512) as short:
        panel = walk(short)
        panel.take()
        before = panel.as_table().splitlines()[1:]
        token = panel.view.drawn["rows"][0]["token"]
        short._process.stop()
        with pytest.raises((EngineDied, Unreachable)):
            panel.take(token)
        assert "cl-error" in panel._error.value
        assert panel.as_table().splitlines()[1:] == before and len(panel.view.drawn["tree"]) == 2


@pytest.mark.parametrize("controls", [Controls(temperature=1, top_k=10**6, top_p=1, min_p=0), Controls(temperature=0)])
def test_limits_of_the_controls(server, controls):
    panel = walk(server, controls=controls)
    assert np.isclose(panel.probabilities().sum(), 1)
    assert panel.take()


def test_another_engine_is_told_in_a_sentence():
    with courselib.launch("tgi-gateway", context=512) as gateway:
        panel = Walk(gateway, prompt=PROMPT)
        with pytest.raises(SettingsError, match=r"needs llama\.cpp's server"):
            panel.begin()
        with pytest.raises(CourseError, match="not token ids"):
            next_token(gateway, (1, 2))


def test_repr(server):
    assert repr(Walk(server)) == "Walk(engine='llama.cpp')"
