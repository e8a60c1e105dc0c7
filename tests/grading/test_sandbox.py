"""The walls one by one: each animal that a wall stops succeeds where this wall is missing."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from courselib.errors import CourseError, EngineMissing
from courselib.grading import family, sandbox, seccomp
from courselib.grading.confined import Confined, Stopped
from courselib.models.cache import cache_folder
from tests.grading.class_room import hand_in, with_answer
from tests.grading.conftest import COURSE
from tests.grading.zoo import ANIMALS, LOOT

ANIMAL = {animal.name: animal for animal in ANIMALS}
MODELS = cache_folder() / "models"
PRIVATE = """
def look():
    import os, glob
    return {"user": os.getuid(), "processes": len(glob.glob("/proc/[0-9]*")), "environment": dict(os.environ),
            "first": open("/proc/1/environ").read() if os.access("/proc/1/environ", os.R_OK) else "",
            "folders": sorted(os.listdir("/"))}
"""


def told(name, **how):
    """What calling an animal gave."""
    code = (
        ANIMAL[name].code.replace("@PACKAGE@", str(sandbox.PACKAGE)).replace("@CLONE@", "56").replace("@KEYCTL@", "250")
    )
    with Confined(code, "ttft", models=MODELS, **how) as worker:
        (outcome,) = worker.call([[[[0.5, "x"]]]])
    return outcome.error or outcome.stopped


@pytest.mark.parametrize("name", ["judges-by-path", "judges-by-import"])
def test_without_the_masks_the_judges_are_found(confinement, monkeypatch, name):
    assert LOOT not in told(name)
    monkeypatch.setattr(sandbox, "HIDDEN", ())
    assert LOOT in told(name)


def test_without_the_filter_there_is_memory_of_nobody(confinement, monkeypatch):
    if not seccomp.program():
        pytest.skip("there is no filter for this processor")
    assert LOOT not in told("memory-of-nobody")
    monkeypatch.setattr(seccomp, "program", lambda: b"")
    assert LOOT in told("memory-of-nobody")


def test_what_is_inside(confinement, monkeypatch):
    monkeypatch.setenv("ZOO_SECRET", "a secret")
    with Confined(PRIVATE, "look", models=MODELS) as worker:
        (outcome,) = worker.call([[]])
        # Whoever confines a worker knows no secret either.
        assert b"ZOO_SECRET" not in Path(f"/proc/{worker._process.pid}/environ").read_bytes()
    seen = outcome.value
    assert seen["user"] == (sandbox.user_of(0) if os.geteuid() == 0 else os.getuid())
    assert seen["processes"] <= 3
    assert "a secret" not in json.dumps(seen)
    assert set(seen["environment"]) <= {*sandbox._ENVIRONMENT, "PYTHONPATH", "COURSELIB_CACHE", "PWD"}
    assert not {"home", "boot", "srv", "mnt"} & set(seen["folders"])


def test_two_places_have_two_users_and_two_graders_have_others(monkeypatch):
    assert len({sandbox.user_of(place) for place in range(64)}) == 64
    before = {sandbox.user_of(place) for place in range(61)}
    other = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: other)
    assert not before & {sandbox.user_of(place) for place in range(61)}


def test_nothing_is_left_when_a_worker_has_ended(confinement):
    code = "import os, time\nfor _ in range(5):\n    if os.fork() == 0: time.sleep(1000)\ndef look(): return 1"
    with Confined(code, "look", models=MODELS) as worker:
        assert worker.call([[]])[0].value == 1
        started = [psutil.Process(pid) for pid in family._family(worker._process.pid)]
        assert len(started) >= 7
    # A dead process whose parent is gone waits for the system to take notice of it.
    assert not [each for each in started if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def test_a_worker_that_cannot_be_started_is_no_fault_of_the_learner(confinement, monkeypatch):
    monkeypatch.setattr(sandbox, "_system", lambda: iter(["--ro-bind", "/nowhere/at/all", "/usr"]))
    with pytest.raises(CourseError, match="could not be started") as error, Confined("x = 1", "x", models=MODELS):
        pass
    assert "/nowhere/at/all" in error.value.details
    assert not isinstance(error.value, Stopped)


def test_without_bubblewrap_nothing_runs_and_the_way_out_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(EngineMissing, match=r"apt install bubblewrap.*--unsafe"):
        sandbox.require.__wrapped__()


def test_a_bubblewrap_that_may_not_make_namespaces_is_told_in_its_own_words(tmp_path, monkeypatch):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(EngineMissing, match="does not work here") as error:
        sandbox.require.__wrapped__()
    assert "No permissions" in error.value.details


# Another user than root
SEEN_BY_ALL = (
    "kills",
    "proc",
    "disk",
    "namespaces",
    "ptrace",
    "judges-by-path",
    "memory-of-nobody",
    "environment",
    "limits",
    "files",
    "elsewhere",
)


@pytest.fixture
def shared_folder():
    """A folder that every user may pass, write to, and nobody else's business."""
    folder = Path(tempfile.mkdtemp(prefix="courselib-test-", dir="/tmp"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.slow
def test_a_user_who_is_not_root(confinement, shared_folder, solution):
    """The same walls hold where a user grades, by a namespace of users."""
    if os.geteuid() != 0:
        pytest.skip("the other tests run as such a user")
    python = _python_for_all()
    names = (*SEEN_BY_ALL, "fork-bomb")
    for name in names:
        code = (
            ANIMAL[name]
            .code.replace("@PACKAGE@", str(sandbox.PACKAGE))
            .replace("@CLONE@", "56")
            .replace("@PLANTED@", "/nowhere")
        )
        hand_in(shared_folder / "in", name, "010_ttft", with_answer(solution("010_ttft"), code))
    for name in ("0-right", "zz-right"):
        hand_in(shared_folder / "in", name, "010_ttft", solution("010_ttft"))
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(COURSE), packages]),
        "COURSELIB_CACHE": str(shared_folder),
        "ZOO_SECRET": "a secret",
    }
    command = [python, "-B", "-m", "tests.grading.as_user", str(shared_folder / "in"), str(shared_folder / "out")]
    done = subprocess.run(
        command, cwd=COURSE, env=environment, user=65533, group=65533, extra_groups=[], capture_output=True, text=True
    )
    if "EngineMissing" in done.stderr:
        pytest.skip(f"a user may make no namespaces here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    results = {each["learner"]: each for each in json.loads(done.stdout)}
    assert {name: results[name]["points"] for name in names} == dict.fromkeys(names, 0)
    assert {name for name in names if LOOT in results[name]["verdict"]} == set()
    assert [results[name]["points"] for name in ("0-right", "zz-right")] == [3, 3], results
    assert not any(each["failed"] for each in results.values())
    assert "500 files" in results["files"]["verdict"]


def _python_for_all():
    """An interpreter of this version that every user may run, with this environment's packages."""
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin")
    version = "import sys, courselib; print(*sys.version_info[:2])"
    user = {"user": 65533, "group": 65533, "extra_groups": [], "capture_output": True, "text": True}
    if python:
        told = subprocess.run([python, "-c", version], cwd=COURSE, env={"PYTHONPATH": str(COURSE)}, **user)
        if told.stdout.split() == [str(each) for each in sys.version_info[:2]]:
            return python
    pytest.skip("no interpreter of this version here can be run by every user")
