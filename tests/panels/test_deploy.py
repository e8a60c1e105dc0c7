"""The desk: settings become a command, a server runs, is watched, and leaves nothing behind."""

import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

from courselib.engines.launch import launch
from courselib.errors import CourseError, EngineMissing, OutOfMemory
from courselib.panels import deploy
from courselib.panels.deploy import Deploy, newest_lines
from tests.engines.conftest import is_alive, wait_gone
from tests.panels.conftest import click
from tests.waiting import wait_until


@pytest.fixture
def desk():
    panel = Deploy(context=512)
    yield panel
    if panel.server:
        panel.server.stop()


def started(panel):
    click(panel.start_button)
    panel.wait(60)
    return panel.server


def terminal(panel):
    return panel.code.programs["terminal"]


def test_the_command_follows_the_settings(desk):
    assert "--ctx-size 512" in terminal(desk)
    desk.fields["context"].value = 1024
    desk.fields["parallel"].value = 2
    desk.fields["mlock"].value = True
    words = shlex.split(terminal(desk).replace("\\\n", ""))
    assert words[words.index("--ctx-size") + 1] == "1024"
    assert words[words.index("--parallel") + 1] == "2"
    assert words[words.index("--load-mode") + 1] == "mmap+mlock"
    for setting in ("context=1024", "parallel=2", "mlock=True"):
        assert setting in desk.code.programs["Python"]


def test_memory_is_predicted_before_the_start(desk):
    assert "11.25 MiB" in desk.facts.value
    desk.fields["context"].value = 2048
    assert "45.00 MiB" in desk.facts.value
    assert "llama.cpp · smollm2-135m" in desk._header.value
    assert "simulated" in desk.facts.value


def test_settings_that_exclude_each_other_are_said_and_cannot_be_started(desk):
    desk.fields["flash_attn"].value = "off"
    desk.fields["cache_type_v"].value = "q8_0"
    assert "needs FlashAttention" in desk._error.value
    assert desk.start_button.disabled
    desk.fields["flash_attn"].value = "on"
    assert desk._error.value == ""
    assert not desk.start_button.disabled


def test_an_unknown_model_is_said(desk):
    desk.fields["model"].value = "smollm3"
    assert "There is no model" in desk._error.value
    assert desk.start_button.disabled


@pytest.mark.engine
def test_start_watch_stop(desk):
    server = started(desk)
    assert desk.state.startswith("running")
    assert desk.start_button.disabled and desk.fields["context"].disabled
    assert f"--port {server.port}" in terminal(desk)
    wait_until(lambda: "in RAM now" in desk.facts.value)
    assert "11.25 MiB" in desk.facts.value
    wait_until(lambda: "slot" in desk.log_view.value)
    click(desk.stop_button)
    desk.wait(15)
    wait_gone(server.pid, server.port)
    assert desk.server is None
    assert desk.state == "stopped"
    assert not desk.start_button.disabled and desk.stop_button.disabled


def test_lines_that_only_repeat_do_not_push_out_the_others():
    log = "0.1 I loaded\n" + "".join(f"0.{n} I all slots are idle\n" for n in range(2, 90)) + "0.91 I released\n"
    assert newest_lines(log, 3) == ["0.1 I loaded", "0.89 I all slots are idle", "0.91 I released"]
    assert newest_lines("", 3) == []


@pytest.mark.engine
def test_the_shown_programs_start_the_same_server(desk):
    """The Python program runs as it stands, and its engine ends with it."""
    done = subprocess.run(
        [sys.executable, "-c", desk.code.programs["Python"]], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.engine
def test_a_server_without_metrics_runs_on(desk):
    desk.fields["metrics"].value = False
    server = started(desk)
    wait_until(lambda: "in RAM now" in desk.facts.value)
    time.sleep(1.2)
    assert desk.server is server and server.is_running()
    assert desk._error.value == ""


@pytest.mark.engine
def test_stop_breaks_off_a_start_and_leaves_nothing(desk):
    click(desk.start_button)
    wait_until(lambda: "starting, " in desk._header.value)
    click(desk.stop_button)
    desk.wait(15)
    assert desk.server is None
    assert desk.state == "stopped"
    assert desk._error.value == ""


@pytest.mark.engine
def test_stop_at_the_moment_of_the_first_token(desk, monkeypatch):
    launched = []

    def late(*engine, **settings):
        launched.append(launch(*engine, **settings))
        click(desk.stop_button)
        return launched[0]

    monkeypatch.setattr(deploy, "launch", late)
    click(desk.start_button)
    desk.wait(30)
    wait_gone(launched[0].pid, launched[0].port)
    assert desk.server is None and desk.state == "stopped"
    assert not desk.start_button.disabled


@pytest.mark.engine
def test_a_start_that_fails_is_one_sentence():
    desk = Deploy(context=400_000_000)
    click(desk.start_button)
    with pytest.raises(OutOfMemory):
        desk.wait(30)
    assert "lower context" in desk._error.value
    time.sleep(0.1)  # an update that came late must not undo the state
    assert desk.state == "stopped"
    assert not desk.start_button.disabled


@pytest.mark.engine
def test_an_engine_that_dies_is_noticed(desk):
    server = started(desk)
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: desk.state == "stopped")
    assert "has ended" in desk._error.value
    assert desk.server is None
    assert not desk.start_button.disabled


@pytest.mark.engine
def test_two_clicks_start_one_server(desk):
    click(desk.start_button)
    click(desk.start_button)
    desk.wait(60)
    assert is_alive(desk.server.pid)
    pid = desk.server.pid
    time.sleep(0.5)
    assert desk.server.pid == pid


def test_text_twin_and_fixed_repr(desk):
    assert repr(desk) == "Deploy(engine='llama.cpp')"
    assert "context        512" in desk.as_table()


def test_a_wrong_setting_is_refused_at_once():
    with pytest.raises((CourseError, TypeError)):
        Deploy(contextt=1)


class TestOtherEngines:
    @pytest.mark.parametrize("engine", ["vllm", "tgi", "tgi-gateway"])
    def test_what_is_left_open_is_named_and_not_set(self, engine):
        desk = Deploy(engine)
        left = [name for name, field in desk.fields.items() if getattr(field, "value", 0) == ""]
        assert len(left) >= 2 and all(desk.fields[name].label for name in left)
        assert {desk.settings()[name] for name in left if name in desk.settings()} == {None}
        field = desk.fields[left[0]]
        field.index = 1
        assert desk.settings()[left[0]] is not None

    def test_tgis_rules_and_what_it_ignores(self):
        desk = Deploy("tgi", max_total_tokens=2048)
        assert "--max-total-tokens 2048" in terminal(desk)
        desk.fields["max_input_tokens"].value = 4095
        assert "`max_input_tokens`(4095) must be &lt; `max_total_tokens`(2048)" in desk._error.value
        assert desk.start_button.disabled
        desk.fields["max_input_tokens"].value = 1023
        assert desk._error.value == ""
        desk.fields["waiting_served_ratio"].value = 1.2
        assert "waiting_served_ratio" in desk.facts.value and "prompts are read in chunks" in desk.facts.value
        desk.fields["prefill_chunking"].value = False
        assert "waiting_served_ratio" not in desk.facts.value
        assert "PREFILL_CHUNKING=0" in terminal(desk)

    def test_a_start_without_docker_is_one_sentence(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        desk = Deploy("tgi")
        click(desk.start_button)
        with pytest.raises(EngineMissing):
            desk.wait(30)
        assert "Docker is not installed" in desk._error.value
        assert desk.state == "stopped" and not desk.start_button.disabled

    @pytest.mark.engine
    def test_the_gateway(self):
        desk = Deploy("tgi-gateway", context=512)
        assert "--max-batch-total-tokens 512" in terminal(desk)
        assert "protocol" in desk._header.value
        server = started(desk)
        try:
            wait_until(lambda: "in RAM now" in desk.facts.value)
            assert "predicted were 92.10 MiB" in desk.facts.value
            assert server.hub().text_generation("The capital of France is", max_new_tokens=2)
        finally:
            click(desk.stop_button)
            desk.wait(15)
        wait_gone(server.pid, server.port)

    def test_vllm_missing_is_said_with_the_command_that_installs_it(self, tmp_path, monkeypatch):
        monkeypatch.setenv("COURSELIB_CACHE", str(tmp_path))
        monkeypatch.delenv("COURSELIB_VLLM_PYTHON", raising=False)
        desk = Deploy("vllm")
        assert "courselib install vllm" in desk._error.value and desk.start_button.disabled

    def test_what_is_chosen_for_this_machine_and_refused_on_it(self, installed):
        desk = Deploy("vllm", kv_cache_memory=64 << 20, block_size=32)
        assert "--kv-cache-memory-bytes 67108864" in terminal(desk)
        assert 'courselib.launch(\n    "vllm",' in desk.code.programs["Python"]
        tokens = (64 << 20) // (32 * 23040) * 32
        assert f"<td>{tokens}</td><td class='cl-quiet'>simulated" in desk.facts.value
        desk.fields["dtype"].value = "float32"
        assert f"<td>{(64 << 20) // (32 * 46080) * 32}</td>" in desk.facts.value
        if "gpu_memory_utilization" in desk.facts.value:  # no GPU
            assert desk.fields["gpu_memory_utilization"].disabled
            assert "On the CPU" in desk.code.notes[0]
            desk.fields["block_size"].value = 16
            assert "multiples of 32" in desk._error.value and desk.start_button.disabled

    @pytest.mark.engine
    @pytest.mark.slow
    def test_vllm_starts_phase_by_phase_with_the_tokens_predicted(self, installed):
        desk = Deploy("vllm", max_model_len=256, kv_cache_memory=64 << 20)
        seen = set()
        desk._header.observe(lambda change: seen.add(change["new"]), "value")
        click(desk.start_button)
        desk.wait(280)
        try:
            # However short a phase was: not each is seen, on a busy machine.
            assert any(f"starting: {phase}, " in header for phase in desk.server.phases for header in seen)
            wait_until(lambda: "in RAM now" in desk.facts.value)
            told = desk.server.memory().kv_cache_tokens
            assert f"<td>{told}</td><td class='cl-quiet'>measured: the engine&#x27;s log; predicted were {told}" in (
                desk.facts.value
            )
        finally:
            click(desk.stop_button)
            desk.wait(30)
        assert desk.state == "stopped"


def test_an_engine_without_a_desk():
    with pytest.raises(CourseError, match=r"no desk for 'sglang'.*llama\.cpp"):
        Deploy("sglang")
