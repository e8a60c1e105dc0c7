"""Makefile and install.sh: an environment that is half made, Python without venv, no compiler, a job that fails."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(
    not (shutil.which("make") and shutil.which("bash")), reason="make or bash is not installed"
)


def program(path, source):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def make(venv, *words, **environment):
    """The Makefile on another environment, in which pip installs nothing."""
    command = ["make", f"VENV={venv}", "PIP=true", *words]
    # Not as part of a make that runs the tests.
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        command, cwd=ROOT, env=clean | environment, capture_output=True, text=True, timeout=200, check=False
    )


@pytest.fixture
def half_made(tmp_path):
    """What a Python without ensurepip leaves: an environment without pip. Its courselib does nothing."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    program(venv / "bin" / "courselib", "#!/bin/sh\n# FakeCourselib\n")
    return venv


@pytest.mark.slow
def test_a_half_made_environment_is_completed(half_made):
    done = make(half_made, f"PYTHON={sys.executable}", f"{half_made}/.lab")
    assert done.returncode == 0, done.stderr
    pip = subprocess.run([half_made / "bin" / "python", "-m", "pip", "--version"], capture_output=True, check=False)
    assert pip.returncode == 0


def test_a_python_that_cannot_make_one_is_named(half_made, tmp_path):
    (tmp_path / "ensurepip.py").write_text("raise ImportError('FakeEnsurepip: as without python3-venv')")
    done = make(half_made, f"PYTHON={sys.executable}", f"{half_made}/.lab", PYTHONPATH=str(tmp_path))
    assert done.returncode
    assert "cannot make environments. On Debian or Ubuntu: sudo apt install python3-venv" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_compiler(tmp_path):
    venv = tmp_path / "venv"
    venv.mkdir()
    (venv / ".lab").touch()
    os.utime(venv / ".lab", (2**32, 2**32))  # newer than all it depends on
    done = make(venv, f"{venv}/.native", CXX="no-such-compiler")
    assert done.returncode
    assert "there is no C++ compiler. Install one, such as g++." in done.stderr


@pytest.fixture
def clone(tmp_path):
    """A folder with install.sh; what it starts writes its process id down and waits."""
    (tmp_path / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "install.sh", tmp_path / "tests")
    waits = '#!/bin/sh\n# Fake\necho $$ >>"$PIDS"\nsleep 600 &\necho $! >>"$PIDS"\nwait\n'
    for name in ("python", "courselib"):
        program(tmp_path / ".venv" / "bin" / name, waits)
    program(tmp_path / "bin" / "chromium", "#!/bin/sh\n# Fake\n")
    program(tmp_path / "bin" / "python3", waits)
    (tmp_path / "pids").touch()
    return tmp_path


def install(clone):
    environment = {"CI": "true", "PIDS": str(clone / "pids"), "PATH": f"{clone / 'bin'}:{os.environ['PATH']}"}
    environment["PYTHON"] = "python3"
    return subprocess.Popen([clone / "tests" / "install.sh"], env=os.environ | environment)


def installed_before(clone):
    """The environments that pip would fill."""
    for name in ("text_generation", "graders", "ray", "site"):
        (clone / ".venvs" / name).mkdir(parents=True)
        (clone / ".venvs" / name / "complete").touch()


def nothing_is_left(clone):
    def gone():
        found = map(int, (clone / "pids").read_text().split())
        return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in found)

    wait_until(gone, 30)


def test_a_job_that_fails_hides_none_of_the_others(clone):
    """All the others are there for the tests; the end says that one is not."""
    program(clone / ".venv" / "bin" / "courselib", "#!/bin/sh\n# Fake\nexit 3\n")
    program(clone / ".venv" / "bin" / "python", '#!/bin/sh\n# Fake\nsleep 1; echo "$@" >>"$PIDS.done"\n')
    installed_before(clone)
    assert install(clone).wait(60) == 1
    assert "tests.kernels.environments" in (clone / "pids.done").read_text()
    nothing_is_left(clone)


def test_all_end_with_it(clone):
    process = install(clone)
    wait_until(lambda: len((clone / "pids").read_text().split()) >= 14, 30)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    nothing_is_left(clone)


def test_it_ends_when_all_have(clone):
    for name in (".venv/bin/python", ".venv/bin/courselib"):
        program(clone / name, "#!/bin/sh\n# Fake\n")
    installed_before(clone)
    assert install(clone).wait(60) == 0
