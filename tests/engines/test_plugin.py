"""A third party adds an engine: its package is built and installed as by pip, and the course finds it by itself."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.conftest import wait_gone

pytestmark = pytest.mark.slow  # pip builds a package

PLUGIN = Path(__file__).with_name("plugin")
LAUNCH = """
import json, courselib
from courselib.engines.registry import engine_names
with courselib.launch("echo", words=2) as server:
    answer = server.openai().completions.create(model=server.model, prompt="one two three", max_tokens=9)
    found = courselib.attach(server.url, server.key)
    print(json.dumps({
        "names": engine_names(), "repr": repr(server), "text": answer.choices[0].text, "attached": found.engine_name,
        "generated": server.metrics().generated_tokens, "pid": server.pid, "port": server.port,
        "command": server.command, "key": server.key, "rss": server.memory().rss, "log": server.logs(),
    }))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the plug-in installed, as an environment would have it."""
    folder = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "plugin"
    # Built from a copy: setuptools leaves its own files beside the source.
    source.mkdir()
    for file in ("pyproject.toml", "echo_engine/__init__.py", "echo_engine/server.py"):
        (source / file).parent.mkdir(exist_ok=True)
        (source / file).write_bytes((PLUGIN / file).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", str(folder), str(source)], check=True, timeout=240)
    return folder


def run(folder, code):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False, env=environment
    )


@pytest.fixture(scope="module")
def told(site):
    done = run(site, LAUNCH)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_is_found_beside_ours(told):
    assert {"echo", "llama.cpp"} <= set(told["names"])


def test_it_serves_like_any_other(told):
    assert told["repr"] == "Server(engine='echo', model='smollm2-135m')"
    assert told["text"] == "two three"
    assert told["generated"] == 3  # the first word was the launch's own
    assert told["attached"] == "echo"
    assert told["rss"] > 1_000_000
    assert "echo engine listens" in told["log"]


def test_its_command_holds_no_key(told):
    assert told["command"] == f"python -m echo_engine.server 127.0.0.1 {told['port']} 2"
    assert told["key"] not in told["command"]


def test_it_is_gone_with_its_starter(told):
    wait_gone(told["pid"], told["port"])


def test_its_settings_are_checked_by_it_and_by_us(site):
    for settings, message in (("words=0", "choose 1 or more"), ("word=1", "Did you mean 'words'")):
        done = run(site, f"import courselib; courselib.launch('echo', {settings})")
        assert done.returncode == 1
        assert message in done.stderr


def test_without_the_package_there_is_no_such_engine(tmp_path):
    done = run(tmp_path, "import courselib; courselib.launch('echo')")
    assert "There is no engine 'echo'" in done.stderr
