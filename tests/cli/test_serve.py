"""``courselib serve`` and ``courselib llama-server``: what they take, and how they end."""

import signal
import subprocess
import urllib.request

import click.testing
import pytest

from courselib.cli.main import main
from courselib.engines.llamacpp.settings import LlamaCppSettings
from courselib.engines.llamacpp.values import CACHE_TYPES
from courselib.engines.settings_help import settings_help
from courselib.engines.tgi.settings import TgiSettings
from tests.cli.running import COURSELIB, POSIX, ends_with_all_it_started, run, started

posix = pytest.mark.skipif(not POSIX, reason="signals end a program so on Linux and macOS")
TO_ENDPOINT = ("url", "key", "command")


def endpoint(process):
    """What it prints once it serves."""
    lines = dict(process.stdout.readline().split(maxsplit=1) for _name in TO_ENDPOINT)
    assert "Ready" in process.stdout.readline()
    return {name: lines[name].strip() for name in TO_ENDPOINT}


def models_of(found):
    request = urllib.request.Request(found["url"] + "/models", headers={"Authorization": "Bearer " + found["key"]})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return answer.read().decode()


@pytest.mark.engine
@posix
@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("interrupt", [signal.SIG_DFL, signal.SIG_IGN], ids=["terminal", "background"])
def test_serve(ending, interrupt, learners_folder):
    arguments = ("serve", "--context", "512")
    with started(*arguments, stdout=subprocess.PIPE, interrupt=interrupt, cwd=learners_folder) as process:
        assert "smollm2-135m" in models_of(endpoint(process))
        ends_with_all_it_started(process, getattr(signal, ending))
        assert process.returncode == (-signal.SIGKILL if ending == "SIGKILL" else 0)


@pytest.mark.engine
def test_serve_says_why_it_cannot():
    done = run("serve", "--context", "0")
    assert done.returncode == 1
    assert "context is 0" in done.stderr


@pytest.mark.engine
def test_the_key_comes_from_the_environment():
    secret = {"COURSELIB_API_KEY": "sk-from-outside"}
    with started("serve", "--context", "512", stdout=subprocess.PIPE, environment=secret) as process:
        found = endpoint(process)
        assert found["key"] == "sk-from-outside"
        assert "sk-from-outside" not in found["command"]
        assert "smollm2-135m" in models_of(found)


@pytest.mark.parametrize(
    ("engine", "variables"), [("llama.cpp", ["API_KEY"]), ("vllm", ["API_KEY"]), ("tgi", ["API_KEY", "TOKEN"])]
)
def test_help_names_the_variables_and_shows_no_secret(engine, variables, monkeypatch):
    for name in variables:
        monkeypatch.setenv(f"COURSELIB_{name}", "not to be shown")
    text = click.testing.CliRunner().invoke(main, ["serve", engine, "--help"]).output
    for name in variables:
        assert f"[env var: COURSELIB_{name}]" in " ".join(text.split())
    assert "not to be shown" not in text


@pytest.mark.engine
@posix
def test_the_command_shown_runs_as_it_stands():
    import courselib
    from courselib.processes.ports import free_port

    with courselib.launch("llama.cpp", context=512) as server:
        command = server.command.replace(str(server.port), "{port}")
    port = free_port()
    line = "exec " + command.format(port=port).replace("courselib", COURSELIB, 1)
    process = subprocess.Popen(["bash", "-c", line], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        found = _attach_when_ready(f"http://127.0.0.1:{port}", process)
        assert found.engine.name == "llama.cpp"
    finally:
        process.kill()
        process.wait()


def _attach_when_ready(url, process):
    import courselib
    from courselib.errors import RequestError
    from tests.waiting import wait_until

    found = []

    def answers():
        assert process.poll() is None
        try:
            found.append(courselib.attach(url))
        except RequestError:
            return False
        return True

    wait_until(answers, 60)
    return found[0]


@pytest.mark.parametrize("settings", [LlamaCppSettings, TgiSettings])
def test_every_setting_has_a_sentence(settings):
    texts = settings_help(settings)
    assert all(texts.get(name) for name in settings.__dataclass_fields__)
    assert not any("``" in text or "\n" in text for text in texts.values())


def test_serve_knows_every_engine_and_its_settings():
    from courselib.engines.registry import engine_names

    listed = run("serve", "--help").stdout
    for name in engine_names():
        assert f"  {name} " in listed
        assert "--model" in run("serve", name, "--help").stdout
    assert "--max-total-tokens" in run("serve", "tgi-gateway", "--help").stdout
    assert run("serve", "no-engine").returncode == 1


@pytest.mark.engine
@posix
@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM"])
def test_llama_server_ends_in_the_background(ending, bundled_model_path, tmp_path):
    log = tmp_path / "log"
    arguments = ("llama-server", "-m", bundled_model_path, "-c", "256", "--port", "0")
    with log.open("w") as output, started(*arguments, stderr=output, interrupt=signal.SIG_IGN) as process:
        from tests.waiting import wait_until

        wait_until(lambda: "listening" in log.read_text(), 60)
        process.send_signal(getattr(signal, ending))
        assert process.wait(60) == 0


@pytest.mark.engine
@posix
@pytest.mark.parametrize("said", ["load_model", "listening"])
def test_llama_server_ends_at_any_moment(said, bundled_model_path, tmp_path):
    """Stopped while it loads, or just when it begins to serve, where llama.cpp itself would not end."""
    for attempt in range(3):
        log = tmp_path / f"log{attempt}"
        arguments = ("llama-server", "-m", bundled_model_path, "-c", "256", "--port", "0")
        with log.open("w") as output, started(*arguments, stderr=output) as process:
            while said not in log.read_text():
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0


@pytest.fixture
def bundled_model_path():
    return run("models", "get", "smollm2-135m").stdout.strip()


@pytest.mark.parametrize("flag", ["-ctk", "-ctv"])
def test_a_cache_type_that_is_none_is_refused_with_those_that_are(flag):
    done = run("llama-server", "-m", "/no.gguf", flag, "foo")
    assert done.returncode == 2
    assert "invalid choice: 'foo'" in done.stderr
    assert all(name in done.stderr for name in CACHE_TYPES)


@pytest.mark.parametrize("port", ["99999", "65536", "-1", "8080.5", "http"])
def test_a_port_that_is_none_is_refused_before_the_model_is_looked_at(port):
    done = run("llama-server", "-m", "/no.gguf", f"--port={port}")
    assert done.returncode == 2
    assert f"error: argument --port: {port!r} is no port; give a number up to 65535" in done.stderr
    assert "no.gguf" not in done.stderr.partition("error:")[2]
