"""The command, run as a person runs it: in a process of its own, not in a terminal."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from courselib.cli_serve import field_help
from courselib.engines.llamacpp import LlamaCppSettings

COURSELIB = [str(Path(sys.executable).with_name("courselib"))]


def run(*arguments, **options):
    return subprocess.run([*COURSELIB, *arguments], capture_output=True, text=True, timeout=120, check=False, **options)


def test_version_and_help():
    assert run("version").stdout.strip() == "0.1.0"
    text = run("--help").stdout
    for command in ("doctor", "lab", "models", "serve", "build", "version"):
        assert re.search(rf"^  {command} ", text, re.MULTILINE), command
        assert run(command, "--help").returncode == 0


def test_doctor_says_what_is_missing_and_how_to_get_it():
    done = run("doctor")
    assert done.returncode == 0, done.stdout
    assert "\x1b" not in done.stdout
    assert re.search(r"\[ok\] +llama\.cpp +xllamacpp", done.stdout)
    assert re.search(r"smollm2-1\.7b: (not on disk\n +courselib models get smollm2-1\.7b|/)", done.stdout)


def test_doctor_as_json():
    findings = json.loads(run("doctor", "--json").stdout)
    assert {"python", "cpu", "memory", "gpu", "docker", "llama.cpp"} <= {finding["subject"] for finding in findings}
    assert {finding["state"] for finding in findings} <= {"ok", "absent", "broken"}


def test_doctor_fails_where_the_course_cannot_run(monkeypatch, capsys):
    from courselib import doctor, environment

    monkeypatch.setattr(environment, "version", lambda package: None if package == "xllamacpp" else "1")
    broken = [finding for finding in doctor.examine() if finding.state is doctor.State.BROKEN]
    assert [(finding.subject, finding.remedy) for finding in broken] == [("llama.cpp", "pip install xllamacpp")]


def test_models():
    path = run("models", "get", "smollm2-135m").stdout.strip()
    assert Path(path).read_bytes()[:4] == b"GGUF"
    assert run("models", "path", "smollm2-135m").stdout.strip() == path
    assert re.search(r"^smollm2-360m +\d+ MB", run("models", "list").stdout, re.MULTILINE)


def test_errors_are_one_sentence_and_exit_with_1():
    done = run("models", "path", "smollm3")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: There is no model 'smollm3'")
    assert "Traceback" not in done.stderr


def test_wrong_usage_exits_with_2():
    assert run("serve", "--context", "many").returncode == 2
    assert run("nonsense").returncode == 2


@pytest.mark.engine
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_serve(ending):
    command = [*COURSELIB, "serve", "--context", "512"]
    # A session of its own, as a terminal gives; Python ignores SIGINT in background jobs otherwise.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    lines = dict(process.stdout.readline().split(maxsplit=1) for _line in range(3))
    assert "Ready" in process.stdout.readline()
    request = urllib.request.Request(lines["url"].strip() + "/models")
    request.add_header("Authorization", "Bearer " + lines["key"].strip())
    assert "smollm2-135m" in urllib.request.urlopen(request).read().decode()
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    os.kill(process.pid, ending)
    process.wait(15)
    _gone, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    if ending is signal.SIGINT:
        assert process.returncode == 0


@pytest.mark.engine
def test_serve_says_why_it_cannot():
    done = run("serve", "--context", "0")
    assert done.returncode == 1
    assert "context is 0" in done.stderr


@pytest.mark.engine
def test_the_command_shown_runs_as_it_stands():
    import courselib

    with courselib.launch("llama.cpp", context=512) as server:
        command = server.command.replace(str(server.port), "{port}")
    from courselib.engines.ports import free_port

    port = free_port()
    line = "exec " + command.format(port=port).replace("courselib", COURSELIB[0], 1)
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

    for _attempt in range(100):
        assert process.poll() is None
        try:
            return courselib.attach(url)
        except RequestError:
            time.sleep(0.1)
    return pytest.fail("not ready after 10 s")


def test_every_setting_has_a_sentence():
    texts = field_help(LlamaCppSettings)
    assert all(texts.get(name) for name in LlamaCppSettings.__dataclass_fields__)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_lab_serves_the_start_page_and_takes_jupyter_along(ending):
    process = subprocess.Popen(
        [*COURSELIB, "lab", "--no-browser"], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    lines = []
    while not any("http://" in line for line in lines):
        lines.append(process.stdout.readline())
        assert lines[-1], lines
    assert any("llama.cpp answers" in line for line in lines)
    url = re.search(r"http://\S+", lines[-1])[0]
    assert "/lab/tree/notebooks/en/00_start_here.ipynb" in url
    with urllib.request.urlopen(url) as page:
        assert page.status == 200
    children = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, ending)
    process.wait(20)
    _gone, alive = psutil.wait_procs(children, timeout=15)
    assert not alive


def test_serve_knows_every_engine_and_its_settings():
    from courselib.engines.registry import engine_names

    listed = run("serve", "--help").stdout
    for name in engine_names():
        assert f"  {name} " in listed
        assert "--model" in run("serve", name, "--help").stdout
    assert "--max-total-tokens" in run("serve", "tgi-gateway", "--help").stdout
    assert run("serve", "no-engine").returncode == 1
