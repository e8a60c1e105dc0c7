"""The desk: settings become a command, a server runs, is watched, and leaves nothing behind."""

import os
import shlex
import signal
import subprocess
import sys

import ipywidgets.widgets.widget as widget_module
import pytest

from courselib.engines import cell
from courselib.engines.launcher import launch
from courselib.errors import CourseError, EngineMissing, OutOfMemory, PanelBusy, SettingsError, Unreachable
from courselib.panels import keeper
from courselib.panels.deploy import Deploy
from courselib.panels.desk_facts import newest_lines, wrapped
from courselib.panels.next_token import NextToken
from courselib.panels.state import DeskState
from tests.engines.conftest import wait_gone
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


def choose(panel, **settings):
    """As a person does, and see what the panel then shows."""
    for name, value in settings.items():
        setattr(panel, name, value)
    panel.as_table()


def terminal(panel):
    return panel.code.programs["terminal"]


def test_the_command_follows_the_settings(desk):
    assert "--ctx-size 512" in terminal(desk)
    choose(desk, context=1024)
    choose(desk, parallel=2)
    choose(desk, mlock=True)
    words = shlex.split(terminal(desk).replace("\\\n", ""))
    assert words[words.index("--ctx-size") + 1] == "1024"
    assert words[words.index("--parallel") + 1] == "2"
    assert words[words.index("--load-mode") + 1] == "mmap+mlock"
    for setting in ("context=1024", "parallel=2", "mlock=True"):
        assert setting in desk.code.programs["Python"]


def test_memory_is_predicted_before_the_start(desk):
    assert "11.25 MiB" in desk.facts.value
    choose(desk, context=2048)
    assert "45.00 MiB" in desk.facts.value
    assert "llama.cpp · smollm2-135m" in desk._header.value
    assert "simulated" in desk.facts.value


def test_settings_that_exclude_each_other_are_said_and_cannot_be_started(desk):
    choose(desk, flash_attn="off")
    choose(desk, cache_type_v="q8_0")
    assert "needs FlashAttention" in desk._error.value
    assert desk.start_button.disabled
    choose(desk, flash_attn="on")
    assert desk._error.value == ""
    assert not desk.start_button.disabled


def test_an_unknown_model_is_said(desk):
    choose(desk, model="smollm3")
    assert "There is no model" in desk._error.value
    assert desk.start_button.disabled


@pytest.mark.engine
def test_start_watch_stop(desk):
    server = started(desk)
    assert desk.state.startswith("running")
    assert desk.start_button.disabled and desk.inputs["context"].disabled
    assert f"--port {server.port}" in terminal(desk)
    wait_until(lambda: "in RAM now" in desk.facts.value)
    assert "11.25 MiB" in desk.facts.value
    wait_until(lambda: "slot" in desk.log_view.value)
    click(desk.stop_button)
    desk.wait(30)
    wait_gone(server.pid, server.port)
    assert desk.server is None
    assert desk.state == "stopped"
    assert not desk.start_button.disabled and desk.stop_button.disabled


def test_lines_of_being_asked_each_second_are_left_out():
    polled = ["0.2 I srv  update_slots: all slots are idle", 'INFO: 127.0.0.1:4 - "GET /metrics HTTP/1.1" 200 OK', ""]
    log = "\n".join(["0.1 I loaded", *polled * 40, '"GET /v1/models HTTP/1.1" 200 OK', "0.9 I released"])
    assert newest_lines(log, 3) == ["0.1 I loaded", "0.9 I released"]
    assert newest_lines(log, 1) == ["0.9 I released"]
    assert newest_lines("", 3) == []


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        ("serve m --port 1 --metrics", ["serve m", "--port 1", "--metrics"]),
        (
            "docker run --rm --env KEY host/image:1 --model m",
            ["docker run", "--rm", "--env KEY", "host/image:1", "--model m"],
        ),
        ("A='x y' run --mount 'type=bind, a' image --b", ["A='x y' run", "--mount 'type=bind, a'", "image", "--b"]),
        ("run --gpus '\"device=0,1\"' image", ["run", "--gpus '\"device=0,1\"'", "image"]),
    ],
)
def test_a_command_has_a_line_for_each_flag_and_for_the_image(command, lines):
    assert wrapped(command).split(" \\\n  ") == lines
    assert shlex.split(wrapped(command).replace("\\\n", "")) == shlex.split(command)


@pytest.mark.engine
def test_the_shown_programs_start_the_same_server(desk):
    """The Python program runs as it stands, and its engine ends with it."""
    done = subprocess.run(
        [sys.executable, "-c", desk.code.programs["Python"]], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.engine
def test_a_server_without_metrics_runs_on(desk, monkeypatch):
    looks, look = [], desk._keeper._look
    monkeypatch.setattr(keeper, "WATCH_PERIOD_S", 0.05)
    monkeypatch.setattr(desk._keeper, "_look", lambda server: looks.append(look(server)) or looks[-1])
    choose(desk, metrics=False)
    server = started(desk)
    wait_until(lambda: len(looks) > 2)
    assert "in RAM now" in desk.facts.value
    assert desk.server is server and server.is_running()
    assert desk._error.value == ""


@pytest.mark.engine
def test_stop_breaks_off_a_start_and_leaves_nothing(desk):
    click(desk.start_button)
    wait_until(lambda: "starting, " in desk._status.text)
    click(desk.stop_button)
    desk.wait(30)
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

    monkeypatch.setattr(keeper, "launch", late)
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
    assert desk.state == desk._status.text == "failed"
    assert not desk.start_button.disabled


@pytest.mark.engine
def test_an_engine_that_dies_is_noticed(desk):
    server = started(desk)
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: desk.state == "failed")
    assert "has ended" in desk._error.value
    assert desk.server is None
    assert not desk.start_button.disabled


@pytest.mark.engine
def test_two_clicks_start_one_server(desk, monkeypatch):
    launched = []
    monkeypatch.setattr(
        keeper, "launch", lambda *engine, **settings: launched.append(launch(*engine, **settings)) or launched[-1]
    )
    click(desk.start_button)
    click(desk.start_button)
    desk.wait(60)
    assert launched == [desk.server]
    assert desk.server.is_running()


class TestACellThatIsRunAgain:
    """The desk that its earlier run has made gives way, and whoever asks that one's server follows."""

    @pytest.fixture
    def run_cell(self, monkeypatch):
        """Gives a desk as the cell of this name makes it, each time in a new run."""
        made = []

        def run(name="a cell", **settings):
            run = cell.CellRun(name, str(len(made)))
            with monkeypatch.context() as patch:
                patch.setattr(cell, "current_run", lambda: run)
                made.append(Deploy(context=512, **settings))
            return made[-1]

        yield run
        for desk in made:
            desk.stop()
            desk.wait(30)

    @pytest.mark.engine
    def test_one_server_is_left_and_it_has_a_button(self, run_cell):
        first = run_cell()
        server = started(first)
        panel = NextToken(first)
        panel.run()
        second = run_cell()
        assert first.state == "replaced" and first.stop_button.disabled and first.start_button.disabled
        assert second.state == "not started"
        follower = started(second)
        wait_gone(server.pid, server.port)
        assert first.server is second.server is follower
        panel.wait()
        assert panel.server is follower and "from another server" in panel.stale.value
        with pytest.raises(PanelBusy, match="run again"):
            first.start()
        third = run_cell()
        second.wait(30)
        assert first.server is second.server is third.server is None
        wait_gone(follower.pid, follower.port)

    @pytest.mark.engine
    def test_a_start_under_way_is_broken_off_first(self, run_cell):
        first = run_cell()
        click(first.start_button)
        wait_until(lambda: first.state == "starting")
        second = run_cell()
        server = started(second)
        assert first._keeper.server is None and first.server is server and first.state == "replaced"

    def test_other_cells_and_desks_of_the_same_run_stay(self, run_cell, monkeypatch):
        first, other = run_cell("one"), run_cell("two")
        monkeypatch.setattr(cell, "current_run", lambda: cell.CellRun("both", "1"))
        pair = Deploy(), Deploy()
        assert {desk.state for desk in (first, other, *pair)} == {DeskState.NOT_STARTED}


def test_inputs_are_traits_with_a_sentence_each(desk):
    desk.context = 1024
    assert desk.inputs["context"].value == 1024 and desk.settings()["context"] == 1024
    desk.inputs["parallel"].value = 2
    assert desk.parallel == 2
    for engine in ("llama.cpp", "vllm", "tgi", "tgi-gateway"):
        for name, each in Deploy(engine).inputs.items():
            assert each.tooltip and each.tooltip != name
    with pytest.raises(SettingsError, match="context is 5"):
        desk.context = 5


def test_a_few_settings_are_in_view_and_the_others_are_folded(desk):
    folded = desk.more_fold.children
    assert desk.inputs["model"] not in folded and desk.inputs["context"] not in folded
    assert {each for name, each in desk.inputs.items() if name not in ("model", "context")} == set(folded[1:])
    assert not desk.more_fold.head.opened and desk.start_button in desk._head.children[-1].children


def test_what_is_spoken_stays_while_seconds_count_up(desk):
    before = desk._head.children
    for seconds in (0.1, 0.2):
        desk._keeper.elapsed_s = seconds
        desk._drawing.touch()
        desk._drawing.flush()
    assert desk._head.children is before and "role" not in desk._header.value + desk.facts.value


@pytest.mark.engine
def test_starts_make_no_widgets(desk):
    before = len(widget_module._instances)
    for _turn in range(2):
        started(desk)
        desk.stop()
        desk.wait(30)
    assert len(widget_module._instances) == before


@pytest.mark.engine
def test_a_server_too_busy_to_answer_keeps_its_stop_button(desk, monkeypatch):
    monkeypatch.setattr(keeper, "WATCH_PERIOD_S", 0.05)
    server = desk.run()

    def silent(_server):
        raise Unreachable("Nobody answers; wait.")

    monkeypatch.setattr(desk._keeper, "_look", silent)
    wait_until(lambda: "Nobody answers" in desk._error.value)
    assert desk.server is server and desk.state == "running" and not desk.stop_button.disabled


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
        left = [name for name, field in desk.inputs.items() if getattr(field, "value", 0) == ""]
        assert len(left) >= 2 and all(desk.inputs[name].label for name in left)
        assert {desk.settings()[name] for name in left if name in desk.settings()} == {None}
        desk.inputs[left[0]].index = 1
        assert desk.settings()[left[0]] is not None

    def test_tgis_rules_and_what_it_ignores(self, monkeypatch):
        monkeypatch.setattr("courselib.engines.tgi.docker.check_docker", lambda: None)
        desk = Deploy("tgi", max_total_tokens=2048)
        assert "--max-total-tokens 2048" in terminal(desk)
        choose(desk, max_input_tokens=4095)
        assert "`max_input_tokens`(4095) must be &lt; `max_total_tokens`(2048)" in desk._error.value
        assert desk.start_button.disabled
        choose(desk, max_input_tokens=1023)
        assert desk._error.value == ""
        choose(desk, waiting_served_ratio=1.2)
        assert "waiting_served_ratio" in desk.facts.value and "prompts are read in chunks" in desk.facts.value
        choose(desk, prefill_chunking=False)
        assert "waiting_served_ratio" not in desk.facts.value
        assert "PREFILL_CHUNKING=0" in terminal(desk)

    def test_a_start_without_docker_is_one_sentence(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        desk = Deploy("tgi")
        click(desk.start_button)
        with pytest.raises(EngineMissing):
            desk.wait(30)
        assert "Docker is not installed" in desk._error.value
        assert desk.state == "impossible" and not desk.start_button.disabled
        assert desk._status.text == "cannot start here: TGI runs in Docker, and Docker is not installed"

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
            desk.wait(30)
        wait_gone(server.pid, server.port)

    def test_vllm_missing_is_said_with_the_command_that_installs_it(self, tmp_path, monkeypatch):
        monkeypatch.setenv("COURSELIB_CACHE", str(tmp_path))
        monkeypatch.delenv("COURSELIB_VLLM_PYTHON", raising=False)
        desk = Deploy("vllm")
        assert "courselib install vllm" in desk._error.value and desk.state == "impossible"

    def test_what_is_chosen_for_this_machine_and_refused_on_it(self, installed):
        desk = Deploy("vllm", kv_cache_memory=64 << 20, block_size=32)
        assert "--kv-cache-memory-bytes 67108864" in terminal(desk)
        assert 'courselib.launch(\n    "vllm",' in desk.code.programs["Python"]
        tokens = (64 << 20) // (32 * 23040) * 32
        assert f"<td>{tokens}</td><td class='cl-quiet'>simulated" in desk.facts.value
        choose(desk, dtype="float32")
        assert f"<td>{(64 << 20) // (32 * 46080) * 32}</td>" in desk.facts.value
        if desk.inputs["gpu_memory_utilization"].disabled:
            assert "there is no GPU" in desk.inputs["gpu_memory_utilization"].tooltip
            assert "On the CPU" in desk.code.notes[0]
            choose(desk, block_size=16)
            assert "multiples of 32" in desk._error.value and desk.start_button.disabled

    @pytest.mark.engine
    @pytest.mark.slow
    def test_vllm_starts_phase_by_phase_with_the_tokens_predicted(self, installed):
        desk = Deploy("vllm", max_model_len=256, kv_cache_memory=64 << 20)
        seen = set()
        desk._status.observe(lambda change: seen.add(change["new"]), "text")
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
    with pytest.raises(CourseError, match=r"no Deploy panel for 'sglang'.*llama\.cpp"):
        Deploy("sglang")
