"""The course from a wheel: an empty environment, an empty folder, and lesson 00 to its end."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from courselib.processes.process import GuardedProcess
from tests.waiting import wait_until

ROOT = Path(__file__).parents[1]
LESSON = "00_start_here.ipynb"
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")

pytestmark = [pytest.mark.elsewhere, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy: what an earlier build has left behind in a clone would go into it, too."""
    folder = tmp_path_factory.mktemp("wheel")
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, tracked.split("\0")):
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "source" / name)
    command = [sys.executable, *PIP, "wheel", "--no-deps", "--wheel-dir", folder, folder / "source"]
    subprocess.run(command, check=True, env=environment())
    (built,) = folder.glob("courselib-*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel):
    """The programs of an environment in which nothing is but the wheel and what it asks for."""
    folder = wheel.with_name("venv")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    command = [folder / "bin" / "python", *PIP, "install", "--constraint", ROOT / "constraints.txt", f"{wheel}[lab]"]
    subprocess.run(command, check=True, env=environment())
    return folder / "bin"


def environment(programs=None):
    """What a new terminal has, with these programs first and no way to this clone."""
    path = os.environ["PATH"]
    return dict(os.environ) | {"PYTHONPATH": "", "PATH": f"{programs}{os.pathsep}{path}" if programs else path}


def test_a_wheel_holds_the_course_and_no_solution(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for folder in ("notebooks", "exercises"):
        in_clone = {f"courselib/course/{folder}/en/{path.name}" for path in (ROOT / folder / "en").glob("*.ipynb")}
        assert in_clone
        assert in_clone <= set(names)
    assert not [name for name in names if "solutions" in name or (name.endswith(".md") and "lessons" in name)]


def test_the_course_opens_and_its_first_lesson_runs(programs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lab = GuardedProcess(
        [str(programs / "courselib"), "lab", "--no-browser"], environment=environment(programs), name="lab"
    )
    try:
        wait_until(lambda: "llama.cpp answers" in lab.logs(), 300)
    finally:
        lab.stop()
    assert "JupyterLab is ready: http://127.0.0.1" in lab.logs()
    mine = tmp_path / "my-course"
    assert (mine / "start.md").is_file()
    assert sorted(path.name for path in mine.glob("*.ipynb")) == sorted(
        path.name for path in (ROOT / "notebooks" / "en").glob("*.ipynb")
    )
    assert list((mine / "exercises").glob("*.ipynb"))

    command = [programs / "jupyter", "execute", "--inplace", mine / LESSON]
    done = subprocess.run(command, env=environment(programs), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    code = [
        cell for cell in json.loads((mine / LESSON).read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"
    ]
    assert code
    assert all(cell["execution_count"] for cell in code)
    assert any("courselib" in str(cell["outputs"]) for cell in code)
