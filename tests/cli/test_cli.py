"""The command, run as a person runs it: in a process of its own, not in a terminal."""

import json
import re
from importlib import metadata
from pathlib import Path

import courselib
from tests.cli.running import run


def test_version_and_help():
    assert run("version").stdout.strip() == courselib.__version__ == metadata.version("courselib")
    text = run("--help").stdout
    for command in ("doctor", "install", "lab", "llama-server", "models", "serve", "build", "version"):
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
    from courselib import machine
    from courselib.cli import doctor

    monkeypatch.setattr(machine, "version", lambda package: None if package == "xllamacpp" else "1")
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
