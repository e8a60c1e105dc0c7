"""A build of llama-cpp-python is tried in another process before it may enter this one."""

import subprocess
import sys
from pathlib import Path

import pytest

from courselib.engines.llamacpp import native as module
from courselib.errors import EngineDied, EngineMissing
from courselib.models import resolve


class FakeBuild:
    """A stand-in for the package's metadata: llama-cpp-python takes minutes to compile, and bad builds are rare."""

    version = "0.0.1"

    def __init__(self, folder):
        self.folder = folder

    def locate_file(self, name):
        return self.folder / name


@pytest.fixture
def build(tmp_path, monkeypatch):
    """A package that is there, and an empty cache."""
    (tmp_path / "llama_cpp" / "lib").mkdir(parents=True)
    monkeypatch.setattr(module, "distribution", lambda _name: FakeBuild(tmp_path))
    monkeypatch.setattr(module.bundled, "find", lambda _model: tmp_path / "small.gguf")
    monkeypatch.setenv("COURSELIB_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def trial(monkeypatch):
    """What the other process does in place of loading llama.cpp."""
    return lambda code: monkeypatch.setattr(module, "TRIAL", code)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals that end a process so")
def test_a_crash(build, trial):
    trial("import os; os.kill(os.getpid(), 11)")
    with pytest.raises(EngineDied, match=r"signal 11.*make native"):
        module._try_once("any")
    assert not (build / "cache" / "tried").exists()


def test_a_crash_as_windows_reports_it(build, monkeypatch):
    illegal_instruction = subprocess.CompletedProcess([], 0xC000001D, "", "")
    monkeypatch.setattr(module.subprocess, "run", lambda *_arguments, **_options: illegal_instruction)
    with pytest.raises(EngineDied, match=r"crashes here \(0xc000001d\).*make native"):
        module._try_once("any")


def test_a_failure_without_a_word(build, trial):
    trial("raise SystemExit(3)")
    with pytest.raises(EngineDied, match=r"does not work here \(exit code 3\)"):
        module._try_once("any")


def test_one_that_does_not_end(build, trial, monkeypatch):
    trial("import time; time.sleep(600)")
    monkeypatch.setattr(module, "TRIAL_TIMEOUT_S", 0.1)
    with pytest.raises(EngineDied, match=r"no token within 0\.1 s; .* try again"):
        module._try_once("any")


def test_once(build, trial, monkeypatch):
    trial("")
    module._try_once("any")
    trial("raise ValueError('no')")
    module._try_once("any")
    monkeypatch.setenv("COURSELIB_CACHE", str(build / "other"))
    with pytest.raises(EngineDied, match=r"ValueError: no.*make native"):
        module._try_once("any")


def test_the_small_model_or_a_vocabulary_is_loaded(build, trial, monkeypatch):
    trial(f"import pathlib, sys; pathlib.Path({str(build / 'asked')!r}).write_text(' '.join(sys.argv[1:]))")
    module._try_once("large.gguf")
    assert (build / "asked").read_text() == f"{build / 'small.gguf'} whole"
    monkeypatch.setenv("COURSELIB_CACHE", str(build / "other"))
    monkeypatch.setattr(module.bundled, "find", lambda _model: None)
    module._try_once("large.gguf")
    assert (build / "asked").read_text() == "large.gguf vocabulary"
    assert not (build / "other" / "tried").exists()  # it proves less


@pytest.mark.parametrize("folder", ["a file in its place", "nowhere"])
def test_a_cache_that_cannot_be_written_costs_time_only(folder, build, trial, monkeypatch):
    trial("")
    (build / "file").touch()
    monkeypatch.setenv("COURSELIB_CACHE", str(build / "file" / "x" if folder != "nowhere" else Path("/proc/nowhere")))
    module._try_once("any")
    module._try_once("any")


def test_missing(monkeypatch):
    monkeypatch.setattr(module, "PACKAGE", "no-such-package-of-llama")
    with pytest.raises(EngineMissing, match="make native"):
        module._try_once("any")


def test_the_real_one(llama_cpp, tmp_path, monkeypatch):
    path = resolve("smollm2-135m")
    for small in (path, None):
        monkeypatch.setattr(module.bundled, "find", lambda _model, small=small: small)
        monkeypatch.setenv("COURSELIB_CACHE", str(tmp_path / str(small is None)))
        module._try_once(str(path))
