"""What a running server gives: clients, memory, metrics, and another look at it through ``attach``."""

import os
import shlex
import signal
import sys

import psutil
import pytest

import courselib
from courselib.engines.llamacpp.checks import kv_cache_bytes
from courselib.engines.llamacpp.settings import LlamaCppSettings
from courselib.errors import EngineDied, SettingsError
from courselib.memory import from_gguf
from courselib.models import gguf_header, resolve
from courselib.processes.ports import free_port
from tests import sure

pytestmark = pytest.mark.engine


def test_both_clients_get_the_same_greedy_answer(server):
    options = {"max_tokens": 6, "temperature": 0}
    openai = server.openai().chat.completions.create(model=server.model, messages=sure.MESSAGES, **options)
    hub = server.hub().chat_completion(sure.MESSAGES, **options)
    assert openai.usage.completion_tokens == 6
    assert openai.choices[0].message.content == hub.choices[0].message.content == sure.ANSWER.rstrip(".")


def test_model_is_served_under_its_short_name(server):
    assert server.model == "smollm2-135m"


def test_command_is_what_a_terminal_takes(server):
    words = shlex.split(server.command)
    assert words[:2] == ["courselib", "llama-server"]
    assert words[words.index("--ctx-size") + 1] == "1024"
    assert server.key not in server.command


def test_memory_is_what_the_formula_says(server):
    memory = server.memory()
    header = gguf_header(resolve("smollm2-135m"))
    # The log prints two decimals of a MiB.
    assert memory.kv_cache == pytest.approx(kv_cache_bytes(server.settings, from_gguf(header)), abs=0.01 * 2**20)
    assert memory.weights == pytest.approx(96_576_768, abs=0.01 * 2**20)
    assert memory.rss > memory.kv_cache


@pytest.mark.parametrize(
    ("settings", "mib"),
    [
        ({"context": 512}, 11.25),
        ({"context": 1000}, 22.5),
        ({"context": 1024, "parallel": 4}, 22.5),
        ({"context": 1000, "parallel": 3}, 33.75),
        ({"context": 512, "cache_type_k": "q8_0", "cache_type_v": "q4_0"}, None),
        ({"context": 2048, "cache_type_k": "q8_0"}, None),
    ],
)
def test_kv_cache_of_a_live_engine_equals_the_formula(settings, mib):
    expected = kv_cache_bytes(LlamaCppSettings(**settings), from_gguf(gguf_header(resolve("smollm2-135m")))) / 2**20
    with courselib.launch("llama.cpp", **settings) as server:
        assert server.memory().kv_cache / 2**20 == pytest.approx(expected, abs=0.011)
    if mib is not None:
        assert expected == mib


def test_metrics_count_what_was_generated(server):
    before = server.metrics()
    server.openai().completions.create(
        model=server.model, prompt="One two three", max_tokens=7, temperature=0, extra_body={"ignore_eos": True}
    )
    after = server.metrics()
    assert after.generated_tokens - before.generated_tokens == 7
    assert after.running == 0
    assert after.tokens_per_s > 1


def test_an_engine_that_dies_while_its_metrics_are_read(monkeypatch):
    with courselib.launch("llama.cpp", context=256) as server:
        read = server.engine.metrics

        def die_first(http):
            os.kill(server.pid, signal.SIGKILL)
            return read(http)

        monkeypatch.setattr(type(server.engine), "metrics", lambda _engine, http: die_first(http))
        with pytest.raises(EngineDied, match="has ended"):
            server.metrics()


def test_a_server_that_was_stopped_has_not_failed():
    with courselib.launch("llama.cpp", context=256) as server:
        server.stop()
        with pytest.raises(EngineDied, match=r"server was stopped\. Start a new one, and use that\.$") as caught:
            server.check()
    assert not caught.value.details


def test_attach_finds_out_the_engine(server):
    for url in (server.url, server.base_url, server.url + "/", server.url.removeprefix("http://")):
        found = courselib.attach(url, server.key)
        assert found.engine.name == "llama.cpp"
        assert found.model == server.model
        found.stop()
    assert server.is_running()


def test_settings_reach_the_engine():
    with courselib.launch("llama.cpp", context=2048, parallel=2, threads=1, mlock=True, ubatch=64) as server:
        props = server.http.get("/props").json()
        log = server.logs()
        assert props["total_slots"] == 2
        assert props["default_generation_settings"]["n_ctx"] == 1024
        assert "n_threads = 1 " in log
        assert "n_ubatch              = 64" in log
        assert "mlock" in log


@pytest.mark.parametrize(
    ("host", "begins"), [("::1", "http://[::1]:"), ("::", "http://[::1]:"), ("localhost", "http://localhost:")]
)
def test_hosts_by_name_and_by_ipv6(host, begins):
    if ":" in host:
        try:
            free_port(host)
        except SettingsError:
            pytest.skip("this machine has no IPv6")
    with courselib.launch("llama.cpp", context=256, host=host) as server:
        assert server.url.startswith(begins)
        assert [note.partition(" ")[0] for note in server.notes] == (["host=::"] if host == "::" else [])
        answer = server.openai().completions.create(model=server.model, prompt="One", max_tokens=1)
        assert answer.usage.completion_tokens == 1
        assert (
            server.hub().chat_completion([{"role": "user", "content": "Hi"}], max_tokens=1).usage.completion_tokens == 1
        )


def test_files_of_a_learner_do_not_reach_the_engine(tmp_path, monkeypatch):
    for name in ("token", "json", "random", "argparse", "string"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of the learner was imported')\n")
    monkeypatch.chdir(tmp_path)
    with courselib.launch("llama.cpp", context=256) as server:
        assert "a file of the learner" not in server.logs()


def test_repr_is_fixed(server):
    assert repr(server) == "Server(engine='llama.cpp', model='smollm2-135m')"


def test_llama_server_on_the_path_is_used_when_asked_for(tmp_path, monkeypatch):
    # A program of that name and with these flags; there is no other build of llama.cpp to be had everywhere.
    program = tmp_path / "llama-server"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m courselib.engines.llamacpp.program "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with courselib.launch("llama.cpp", context=512, binary="llama-server") as server:
        assert server.command.startswith("llama-server --model ")
        assert psutil.Process(server.pid).cmdline()[-2:] == ["--log-verbosity", "4"]
        assert server.memory().kv_cache > 0
