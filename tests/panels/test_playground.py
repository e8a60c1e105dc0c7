"""The Playground against a real engine: answers, numbers, cancel, and one sentence for each thing that goes wrong."""

import os
import signal
import subprocess
import sys

import pytest

import courselib
from courselib.controls.controls import Controls
from courselib.controls.presets import PRESETS
from courselib.engines.registry import get_engine
from courselib.engines.server import Server
from courselib.engines.vllm.settings import VllmSettings
from courselib.errors import EngineDied, PromptTooLong, SettingsError, StreamBroken, Unauthorized, Unreachable
from courselib.panels.deploy import Deploy
from courselib.panels.playground import Playground
from tests.panels.conftest import click
from tests.panels.fake_llama_server import FakeLlamaServer
from tests.waiting import wait_until

pytestmark = pytest.mark.engine

QUESTION = "Tell me the capital of France."


def playground(server, **controls):
    return Playground(server, controls=Controls(**{"temperature": 0.0, "max_tokens": 40, "seed": 42, **controls}))


def send(panel, prompt):
    panel.prompt = prompt
    click(panel.run_button)


def error_of(panel):
    panel._drawing.flush()
    return panel._error.value


def test_an_answer_its_tokens_and_its_numbers(server):
    panel = playground(server)
    assert "Paris" in panel.ask(QUESTION)
    answer = panel.answer
    assert answer.text == panel.answer_view.text
    assert answer.finish_reason == "stop"
    assert len(panel.answer_view.spans) == answer.completion_tokens - 1  # the end of turn is a token without text
    assert all(0 < span[1] <= 1 for span in panel.answer_view.spans)
    assert 0 < answer.ttft_s < 20 and answer.tokens_per_s > 1
    assert panel.state == "done"
    assert "llama.cpp · smollm2-135m" in panel._header.value
    for fact in ("time to first token", "tokens a second", "stop"):
        assert fact in panel.facts.value


def test_a_greedy_answer_shows_the_likeliest_tokens(server):
    panel = playground(server)
    panel.ask(QUESTION)
    for text, probability, others, _count in panel.answer_view.spans:
        assert others[0] == [text, pytest.approx(probability, rel=1e-3)]
        assert [chance for _token, chance in others] == sorted((chance for _token, chance in others), reverse=True)


def test_the_answer_is_the_bare_clients(server):
    panel = playground(server, temperature=0.9, seed=7)
    answer = panel.ask("Name three rivers.")
    reply = server.openai().chat.completions.create(
        model=server.model,
        messages=[{"role": "user", "content": "Name three rivers."}],
        **panel.plan().arguments,
    )
    assert answer == reply.choices[0].message.content


@pytest.mark.parametrize("client", ["openai", "huggingface_hub", "curl"])
def test_each_program_gives_the_panels_answer(server, client):
    """As it stands, in a process of its own."""
    panel = playground(server, temperature=0.8, seed=11)
    panel.system = "You are a 'pirate'.\nSay \"arr\"."
    answer = panel.ask("Who are you? 你是誰？ $HOME `date` \\n")
    program = panel.code.programs[client]
    command = ["bash", "-c", program] if client == "curl" else [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    printed = _text_of_events(done.stdout) if client == "curl" else done.stdout
    assert printed == answer
    assert "courselib" not in program


def _text_of_events(stream):
    import json

    events = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: {")]
    deltas = [choice["delta"].get("content") or "" for event in events for choice in json.loads(event)["choices"]]
    return "".join(deltas)


def test_programs_follow_the_controls_and_have_no_dead_ones(server):
    panel = Playground(server, prompt="Hi")
    panel.wait()
    assert "temperature" not in panel.code.programs["openai"]
    assert "    max_tokens=128,\n    seed=42,\n" in panel.code.programs["openai"], "enough, and the same again"
    panel.form.set_state({"entries": {"top_p": 0.5, "seed": 5}})  # as the page does
    panel.wait()
    for program in panel.code.programs.values():
        assert "0.5" in program and "5" in program and "max_tokens" not in program
    assert "    top_p=0.5,\n" in panel.code.programs["openai"]


def test_a_control_that_the_engine_does_not_honour_is_told_and_not_sent(server):
    panel = playground(server, no_repeat_ngram_size=2)
    assert panel.form.report["no_repeat_ngram_size"]["kind"] == "lost"
    assert panel.code.notes[0].startswith("no_repeat_ngram_size: this route has no such control; nearest is DRY")
    assert not any("ngram_size=" in program for program in panel.code.programs.values())


def test_a_bad_control_is_one_sentence_and_is_not_sent(server):
    panel = playground(server)
    panel.form.set_state({"entries": {"temperature": 7}})
    assert "give a number from 0 to 2" in error_of(panel)
    send(panel, QUESTION)
    panel.wait()
    assert "give a number from 0 to 2" in error_of(panel) and panel.answer is None
    with pytest.raises(SettingsError):
        panel.ask(QUESTION)
    panel.form.set_state({"entries": {"temperature": 0, "max_tokens": 10}})
    panel.wait()
    assert error_of(panel) == ""
    assert panel.ask(QUESTION)


def test_log_probabilities_asked_for_are_shown_as_asked(server):
    panel = playground(server, logprobs=2, max_tokens=3)
    panel.ask(QUESTION)
    assert {len(others) for _text, _probability, others, _count in panel.answer_view.spans} == {2}


def test_what_the_engine_says_it_used(server):
    panel = playground(server, temperature=0.3, min_tokens=5)
    panel.ask(QUESTION)
    used = {row.control: row for row in panel.result.used}
    assert (used["temperature"].asked, used["temperature"].used) == (0.3, 0.3)
    assert (used["top_k"].asked, used["top_k"].used) == (None, 40)
    assert not any(row.differs for row in panel.result.used if row.control != "min_tokens")
    assert used["min_tokens"].differs, "llama.cpp has none"
    assert "What the engine reports it used" in panel.used_view.value
    assert "<tr><th scope='row'>top_k</th><td>-</td><td>40</td>" in panel.used_view.value


def test_defaults_are_those_of_this_very_model(tmp_path):
    (tmp_path / "generation_config.json").write_text('{"temperature": 0.25}')
    with FakeLlamaServer() as fake:
        url = fake.server().url
        panel = Playground(Server(get_engine("vllm"), url, None, settings=VllmSettings(model=str(tmp_path))))
        panel.wait()
    row = panel.form.report["temperature"]
    assert (row["applies"], row["text"]) == (0.25, "not sent: 0.25 applies, from the model's generation_config.json")


def test_of_several_answers_the_first_is_shown():
    with courselib.launch("llama.cpp", context=1024, parallel=2) as wide:
        panel = playground(wide, n=2, temperature=1.5, max_tokens=20)
        answer = panel.ask(QUESTION)
        reply = wide.openai().chat.completions.create(
            model=wide.model,
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=20,
            temperature=1.5,
            seed=42,
            n=2,
        )
    assert answer == reply.choices[0].message.content
    assert panel.answer.completion_tokens <= 20
    assert "The panel shows the first of the answers." in panel.code.notes


def test_chinese_and_emoji_arrive_whole(server):
    panel = playground(server)
    text = panel.ask("Repeat exactly: 你好，世界！臺灣")
    assert "你好，世界！" in text
    assert "\ufffd" not in text
    assert "你" in [span[0] for span in panel.answer_view.spans]


def test_cancel_stops_the_panel_and_the_engine(server):
    panel = playground(server, max_tokens=900)
    send(panel, "Tell me a very long story.")
    wait_until(lambda: len(panel.answer_view.text) > 20)
    click(panel.cancel_button)
    panel.wait(30)
    assert panel.state == "cancelled"
    assert error_of(panel) == ""
    assert not panel.run_button.disabled and panel.cancel_button.disabled
    wait_until(lambda: server.metrics().running == 0)


def test_cancel_takes_effect_while_the_prompt_is_read():
    with courselib.launch("llama.cpp", context=8192) as slow:
        panel = playground(slow)
        send(panel, "word " * 6000)
        wait_until(lambda: slow.metrics().running == 1, 30)
        click(panel.cancel_button)
        panel.wait(30)
        assert panel.state == "cancelled"
        assert panel.answer_view.text == ""


def test_two_clicks_make_one_request(server):
    panel = playground(server)
    before = server.metrics().generated_tokens
    send(panel, QUESTION)
    click(panel.run_button)
    panel.wait()
    assert server.metrics().generated_tokens - before == panel.answer.completion_tokens


@pytest.mark.parametrize(
    ("prompt", "kind", "words"),
    [
        ("", SettingsError, "prompt is empty"),
        ("  \n ", SettingsError, "prompt is empty"),
        ("half \ud83d", SettingsError, "Character 6"),
        ("word " * 2000, PromptTooLong, "the context holds 1024"),
    ],
)
def test_a_bad_prompt_is_one_sentence(server, prompt, kind, words):
    panel = playground(server)
    send(panel, prompt)
    with pytest.raises(kind):
        panel.wait()
    assert words in error_of(panel)
    assert panel.state == "failed"
    assert "Paris" in panel.ask(QUESTION)
    assert error_of(panel) == ""


def test_a_wrong_key_is_one_sentence(server):
    stranger = Server(server.engine, server.url, "wrong")
    stranger.__dict__["model"] = server.model
    panel = playground(stranger)
    send(panel, QUESTION)
    with pytest.raises(Unauthorized):
        panel.wait()
    assert "another key" in error_of(panel)


def test_an_engine_that_dies_while_it_answers_is_one_sentence():
    with courselib.launch("llama.cpp", context=1024) as doomed:
        panel = playground(doomed, max_tokens=900)
        send(panel, "Tell me a very long story.")
        wait_until(lambda: len(panel.answer_view.text) > 20)
        os.kill(doomed.pid, signal.SIGKILL)
        with pytest.raises((StreamBroken, EngineDied)):
            panel.wait(30)
        assert "has ended" in error_of(panel)
        assert "<details>" in error_of(panel)
        assert len(panel.answer_view.spans) > 3, "what came is kept"
        assert panel.state == "failed"


def test_a_desk_without_a_server_says_so():
    panel = Playground(Deploy())
    send(panel, QUESTION)
    panel.wait()
    assert "press Start" in error_of(panel) and panel.state == "waiting"
    with pytest.raises(Unreachable, match="press Start"):
        panel.ask(QUESTION)


def test_text_twin_and_fixed_repr(server):
    panel = playground(server)
    assert repr(panel) == "Playground(engine='llama.cpp')"
    panel.ask(QUESTION)
    assert "' Paris'" in panel.as_table()


def test_a_preset_fills_the_form_and_is_named_as_long_as_the_form_holds_it(server):
    panel = playground(server)
    chooser = panel.presets
    assert chooser.value == ""
    greedy = next(name for name, preset in PRESETS.items() if preset.temperature == 0)
    chooser.value = greedy
    assert panel.form.controls == PRESETS[greedy]
    assert "temperature=0.0" in panel.code.programs["openai"]
    panel.form.controls = PRESETS[greedy].with_(temperature=1.0)
    assert chooser.value == ""
    panel.form.controls = PRESETS[greedy]
    assert chooser.value == greedy
