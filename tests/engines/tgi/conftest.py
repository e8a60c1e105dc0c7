"""A Docker without its daemon, a machine without Docker, and a launcher on the PATH."""

import shutil
import stat
import sys
from pathlib import Path

import pytest

from courselib.engines.tgi.engine import LAUNCHER
from courselib.engines.tgi.values import IMAGE
from tests.engines.tgi.fake_docker import FakeDockerDaemon

CPU_IMAGE = f"{IMAGE}-intel-cpu"
POSIX = sys.platform != "win32"
needs_docker_client = pytest.mark.skipif(
    not (POSIX and shutil.which("docker")), reason="docker's command is not installed, or this is Windows"
)


@pytest.fixture(autouse=True)
def no_token(monkeypatch):
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    """Docker's daemon, faked, with TGI's image for CPUs at hand."""
    with FakeDockerDaemon(tmp_path, images={CPU_IMAGE}) as running:
        monkeypatch.setenv("DOCKER_HOST", running.host)
        yield running


@pytest.fixture
def bare_path(tmp_path, monkeypatch):
    """A PATH with nothing on it but what a test puts there."""
    if not POSIX:
        pytest.skip("a script is no program on Windows")
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def put_program(folder, name, source):
    """A Python program on the PATH."""
    program = folder / name
    program.write_text(f"#!{sys.executable}\n{source}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def fake_launcher(bare_path, monkeypatch):
    """A program in place of TGI's launcher; takes the flags of 3.3.7 and serves its routes."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    put_program(bare_path, LAUNCHER, Path(__file__).with_name("fake_launcher.py").read_text())
    return bare_path / LAUNCHER
