"""The panel "Next token" on a real engine: one look, and everything after it from the same logits."""

import math

import numpy as np
import pytest

import courselib
from courselib.controls.controls import Controls
from courselib.errors import CourseError, PromptTooLong, SettingsError, Unreachable
from courselib.observe import logits
from courselib.observe.logits import ask
from courselib.panels import next_token as module
from courselib.panels.deploy import Deploy
from courselib.panels.looking import Look
from courselib.panels.next_token import NextToken
from courselib.panels.next_token_view import ROWS, picture
from courselib.sampling import Context, pipeline
from tests.panels.conftest import click
from tests.panels.fake_llama_server import Desk, FakeLlamaServer

pytestmark = pytest.mark.engine

PROMPT = "The weather today is"
NARROW = Controls(temperature=1.5, top_k=20, top_p=0.7, min_p=0.05)


@pytest.fixture(scope="module")
def panel(server):
    panel = NextToken(server, prompt=PROMPT, controls=NARROW)
    panel.look()
    return panel


@pytest.fixture
def narrow(panel):
    """The panel as it was at first, whatever a test does to it."""
    panel.form.controls, panel.duel, panel.prompt = NARROW, "", PROMPT
    panel.wait()
    return panel


def row_of(panel, text):
    return next(row for row in panel.view.drawn["rows"] if row["text"] == text)


def test_what_is_drawn_is_what_the_engine_draws_from(narrow, server):
    wire = {"temperature": 1.5, "top_k": 20, "top_p": 0.7, "min_p": 0.05}
    body = {"prompt": PROMPT, "n_predict": 1, "n_probs": 20, "post_sampling_probs": True, **wire}
    told = ask(server, "/completion", body)["completion_probabilities"][0]["top_probs"]
    engine = {entry["token"]: entry["prob"] for entry in told if entry["prob"]}
    drawn = {row["text"]: row["now"] for row in narrow.view.drawn["rows"] if row["struck"] is None}
    assert drawn == pytest.approx(engine, abs=1e-4)
    exact = {token: narrow.outcome.probabilities[entry["id"]] for token, entry in zip(engine, told, strict=False)}
    assert exact == pytest.approx(engine, abs=1e-6)


def test_each_stage_says_what_passes(narrow):
    stages = {stage["name"]: stage for stage in narrow.view.drawn["stages"]}
    assert stages[""]["survivors"] == 49152
    assert stages["top_k"]["survivors"] == 20
    kept = np.sort(narrow.outcome.start.probabilities)[-20:].sum()
    assert stages["top_k"]["passes"] == pytest.approx(kept, abs=1e-4)
    assert "49132 of 49152 tokens go" in stages["top_k"]["sentence"]
    assert not stages["dry"]["on"]
    order = [stage["name"] for stage in narrow.view.drawn["stages"] if stage["on"]]
    assert order == ["", "top_k", "top_p", "min_p", "temperature"]


def test_a_token_is_followed_to_the_stage_that_strikes_it_out(narrow):
    drawn = narrow.view.drawn
    assert len(drawn["rows"]) == ROWS
    own = [row["own"] for row in drawn["rows"]]
    assert own == sorted(own, reverse=True)
    by_stage = {None: 0, "top_k": 0, "top_p": 0}
    for row in drawn["rows"]:
        struck = row["struck"]
        by_stage[None if struck is None else drawn["stages"][struck]["name"]] += 1
        assert len(row["path"]) == len(drawn["stages"])
        assert row["path"][0] == pytest.approx(row["own"], rel=1e-3) and row["path"][-1] == row["now"]
        assert struck is None or (row["path"][struck - 1] > 0 and row["path"][struck] == 0)
    assert by_stage == {None: 4, "top_k": ROWS - 20, "top_p": 16}


def test_a_control_redraws_without_asking_the_engine(narrow, monkeypatch):
    def nobody(*_arguments):
        raise AssertionError("the engine was asked again")

    monkeypatch.setattr(logits, "next_token", nobody)
    monkeypatch.setattr(logits, "ask", nobody)
    before = row_of(narrow, " not")["now"]
    narrow.form.controls = NARROW.with_(temperature=0)
    assert narrow.outcome.probabilities.max() == 1
    best = narrow.view.drawn["rows"][0]
    assert (best["now"], best["struck"]) == (1, None)
    assert narrow.view.drawn["facts"][3] == ["survivors", "49,152", "1"]
    narrow.form.controls = NARROW
    narrow.wait()
    assert row_of(narrow, " not")["now"] == before


def test_a_token_lifted_from_the_depths_is_shown(narrow):
    token = int(np.argmin(narrow.told.logprobs))
    narrow.form.controls = NARROW.with_(logit_bias={token: 60})
    assert narrow.outcome.probabilities[token] > 0.99
    assert narrow.view.drawn["rows"][-1]["id"] == token


def test_entropy_perplexity_survivors(narrow):
    heads, bits, perplexity, survivors = narrow.view.drawn["facts"]
    assert heads == ["", "the model's own", "llama.cpp"]
    kept = [row["now"] for row in narrow.view.drawn["rows"] if row["now"]]
    entropy = -sum(p * math.log2(p) for p in kept)
    assert float(bits[2]) == pytest.approx(entropy, abs=0.01)
    assert float(perplexity[2]) == pytest.approx(2**entropy, abs=0.1)
    assert survivors[2] == "4"


def test_the_duel_names_where_the_orders_part(narrow):
    narrow.duel = "vllm"
    assert (narrow.rival.probabilities > 0).sum() == 8
    duel = narrow.view.drawn["duel"]
    assert duel["engine"] == "vLLM"
    assert duel["sentences"][0] == "They differ from where llama.cpp applies top_k=20 and vLLM applies temperature=1.5."
    assert duel["sentences"][1] == "4 tokens survive in both, 0 only in llama.cpp, 4 only in vLLM."
    assert sum(row["rival"] > 0 for row in narrow.view.drawn["rows"]) == 8
    narrow.duel = "tgi"
    assert narrow.rival is not None
    assert "TGI has no min_p: it is left out there." in narrow.view.drawn["duel"]["sentences"]
    narrow.duel, narrow.form.controls = "vllm", Controls(temperature=1, top_k=0, top_p=1, min_p=0.05)
    assert narrow.rival is not None
    assert narrow.view.drawn["duel"]["sentences"][0] == "llama.cpp and vLLM agree at every stage."


def test_the_programs_draw_one_token_and_the_notes_say_what_is_lost(narrow):
    assert set(narrow.code.programs) == {"openai", "llama_cpp", "curl"}
    assert "max_tokens=1" in narrow.code.programs["openai"]
    assert f'prompt="{PROMPT}"' in narrow.code.programs["openai"]
    narrow.form.controls = NARROW.with_(no_repeat_ngram_size=3)
    narrow.wait()
    assert any("no such control" in note for note in narrow.code.notes)


def test_the_twin_in_text(narrow):
    narrow.duel = "vllm"
    text = narrow.as_table()
    assert "top_k               20" in text
    assert "They differ from where llama.cpp applies top_k=20" in text
    assert "✕ top_p" in text
    assert repr(narrow) == "NextToken(engine='llama.cpp')"


def test_penalties_look_at_the_prompt(server):
    panel = NextToken(server, prompt="red, red, red, red, red,", controls=Controls(frequency_penalty=2))
    panel.look()
    red, blue = row_of(panel, " red"), row_of(panel, " blue")
    after = [stage["name"] for stage in panel.view.drawn["stages"]].index("penalties")
    odds = [red["path"][at] / blue["path"][at] for at in (0, after)]
    # Four times with a blank before it.
    assert math.log(odds[1] / odds[0]) == pytest.approx(-2 * 4, abs=0.01)


def test_what_this_server_was_started_with_applies(server, monkeypatch):
    told = {"temperature": 0.8, "top_k": 3}
    monkeypatch.setattr("courselib.panels.looking.server_defaults", lambda _server: (told, "this server's settings"))
    panel = NextToken(server, prompt=PROMPT)
    panel.look()
    assert next(stage for stage in panel.view.drawn["stages"] if stage["name"] == "top_k")["setting"] == "top_k=3"


def test_a_chinese_prompt_shows_bytes_that_are_no_character_as_such(server):
    panel = NextToken(server, prompt="今天的天氣", controls=Controls(temperature=1))
    panel.look()
    texts = [row["text"] for row in panel.view.drawn["rows"]]
    assert any("⟨0x" in text for text in texts) and any("\u4e00" <= text[:1] <= "\u9fff" for text in texts)
    assert "\ufffd" not in "".join(texts)


@pytest.mark.slow
def test_where_only_the_likeliest_are_told():
    with courselib.launch("tgi-gateway", context=512) as gateway:
        panel = NextToken(gateway, prompt=PROMPT, controls=Controls(temperature=1.5, top_k=4))
        panel.look()
        drawn = panel.view.drawn
        assert len(drawn["rows"]) == 5
        assert 0 < drawn["remainder"] == pytest.approx(1 - sum(row["own"] for row in drawn["rows"]), abs=1e-3)
        assert drawn["stages"][0]["passes"] == pytest.approx(1 - drawn["remainder"], abs=1e-3)
        assert "returns only the 5 most likely tokens" in drawn["notes"][0]
        assert [row["struck"] is None for row in drawn["rows"]] == [True] * 4 + [False]
        assert drawn["facts"][1][1] == "-"
        assert {"huggingface_hub", "text_generation", "curl"} == set(panel.code.programs)
        assert "rest, not returned" in panel.as_table()


@pytest.mark.slow
def test_on_vllm_its_own_order_and_texts(vllm_server):
    panel = NextToken(vllm_server, prompt=PROMPT, controls=NARROW)
    panel.look()
    on = [stage["name"] for stage in panel.view.drawn["stages"] if stage["on"]]
    assert on == ["", "temperature", "min_p", "top_k", "top_p"]
    assert row_of(panel, " expected")["own"] > 0.01
    assert panel.told.remainder == 0
    # What no text was asked for has its number.
    rare = int(np.argmin(panel.told.logprobs))
    panel.form.controls = NARROW.with_(logit_bias={rare: 60})
    assert panel.outcome.probabilities[rare] > 0.99
    assert panel.view.drawn["rows"][-1]["text"] == f"#{rare}"
    assert set(panel.code.programs) == {"openai", "vllm", "curl"}


class TestWhatGoesWrong:
    def test_an_empty_prompt(self, server):
        panel = NextToken(server, prompt="")
        with pytest.raises(SettingsError, match="The prompt is empty"):
            panel.look()
        assert "The prompt is empty" in panel._error.value
        assert panel.state == "failed" and not panel.run_button.disabled

    def test_a_prompt_that_is_too_long_leaves_the_last_picture(self, server):
        panel = NextToken(server, prompt=PROMPT)
        panel.look()
        before = panel.view.drawn
        panel.prompt = "word " * 2000
        panel.wait()
        assert "Changed since this result: prompt. Press Look." in panel.stale.value and panel.outcome is None
        with pytest.raises(PromptTooLong, match="context holds 1024"):
            panel.look()
        assert "context holds 1024" in panel._error.value
        assert panel.view.drawn == before

    def test_a_value_out_of_range(self, server):
        panel = NextToken(server, prompt=PROMPT)
        panel.look()
        panel.form.entries = {"top_p": 7}
        panel.wait()
        assert "top_p" in panel._error.value
        panel.form.entries = {"top_p": 0.7}
        panel.wait()
        assert panel._error.value == ""

    def test_an_engine_that_has_stopped(self):
        with courselib.launch("llama.cpp", context=512) as server:
            panel = NextToken(server, prompt=PROMPT)
            panel.look()
        before = panel.outcome.probabilities
        with pytest.raises(CourseError):
            panel.look()
        assert "cl-error" in panel._error.value and panel.state == "failed"
        # What was told before can still be looked at.
        panel.form.controls = Controls(temperature=0)
        assert (panel.outcome.probabilities != before).any()

    def test_on_a_desk_that_starts_a_server_later(self):
        desk = Deploy(context=512)
        panel = NextToken(desk, prompt=PROMPT)
        assert panel.code.programs == {} and "once a server runs" in panel.code.notes[0]
        with pytest.raises(Unreachable, match="press Start"):
            panel.look()
        try:
            click(desk.start_button)
            desk.wait()
            assert panel.look().probabilities.size == 49152
            assert panel.code.programs
        finally:
            click(desk.stop_button)
            desk.wait()


def test_the_picture_of_any_pipeline():
    told = logits.NextToken((1,), np.log([0.5, 0.3, 0.2]))
    drawn = picture(told, np.exp(told.logprobs), pipeline("vllm", Controls(top_k=2)).run(told.logits))
    assert [row["text"] for row in drawn["rows"]] == ["#0", "#1", "#2"]
    assert [row["now"] for row in drawn["rows"]] == [0.625, 0.375, 0]
    assert drawn["duel"] is None and drawn["remainder"] == 0


# On fakes: two models that differ.

SHARES = {"one": np.array([0.5, 0.3, 0.2]), "two": np.array([0.2, 0.3, 0.5])}


@pytest.fixture
def two_models(monkeypatch):
    def look(server, prompt):
        own = SHARES[server.model]
        told = logits.NextToken((1,), np.log(own), pieces=tuple(server.model.encode() + b"%d" % n for n in range(3)))
        return Look(prompt, told, own, Context((1,)))

    monkeypatch.setattr(module, "look_at", look)
    with FakeLlamaServer("one") as one, FakeLlamaServer("two") as two:
        yield one, two


@pytest.fixture
def desk(two_models):
    return Desk(server=two_models[0].server())


def test_what_one_model_told_is_never_shown_as_anothers(two_models, desk):
    panel = NextToken(desk)
    assert panel.look().probabilities.argmax() == 0
    desk.server = two_models[1].server()
    panel.wait()
    assert panel.told is None and panel.outcome is None and "one0" not in panel.as_table()
    assert "another server (one)" in panel.stale.value and "two" in panel._header.value
    assert panel.look().probabilities.argmax() == 2 and not panel.stale.value
    assert panel.view.drawn["rows"][0]["text"] == "two2"


def test_a_penalty_that_needs_logits_is_refused_and_the_picture_stays(desk):
    panel = NextToken(desk, controls=Controls(temperature=1))
    panel.look()
    before = panel.view.drawn
    panel.form.controls = Controls(temperature=1, repetition_penalty=1.5)
    panel.wait()
    assert panel.outcome is None and "repetition_penalty" in panel._error.value and panel.view.drawn == before
    assert panel.as_table().count("\n") == 0, "no numbers of other controls"
    with pytest.raises(SettingsError, match="Nothing can be drawn"):
        panel.look()
    panel.form.controls = Controls(temperature=2)
    panel.wait()
    assert panel.outcome is not None and panel._error.value == ""


def test_every_token_forbidden(desk, monkeypatch):
    panel = NextToken(desk)
    monkeypatch.setitem(SHARES, "one", np.zeros(3))
    with np.errstate(divide="ignore"), pytest.raises(SettingsError, match="Nothing can be drawn"):
        panel.look()
    assert "Every token is forbidden" in panel._error.value


def test_a_silent_server_holds_no_slider():
    with FakeLlamaServer(silent=True) as fake:
        panel = NextToken(fake.server())
        for value in (0.1, 0.2, 0.3):
            panel.form.controls = Controls(temperature=value)
        assert fake.requests.count("/v1/models") <= 1 and fake.requests.count("/props") == 0


def test_inputs_are_checked_in_a_sentence(desk):
    with pytest.raises(SettingsError, match="duel is 'ollama'; choose one of"):
        NextToken(desk, duel="ollama")
