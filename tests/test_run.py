"""tests/run.sh with fake programs in place of make, pip, ruff and pytest: what runs, what is reported, what is left."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.slowest import slowest
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a script for bash")

SCRIPT = Path(__file__).with_name("run.sh")
# Notes its call, and fails if a word of it is in FAILING.
FAKE = """#!/usr/bin/env bash
echo "${0##*/} $*" >>"$CALLS"
for word in $FAILING; do case "$*" in *"$word"*) exit 3 ;; esac; done
"""
SLOW_INSTALLER = "#!/usr/bin/env bash\nsleep 600 &\necho $! >$PWD/started\nwait\n"
PROGRAMS = ("ruff", "mypy", "courselib", "python")
PHASES = ["ruff", "format", "mypy", "notebooks are built from their lessons", "tests without an engine",
          "llama.cpp as a library", "tests with llama.cpp", "installing vLLM, a browser, other kernels",
          "tests in other environments", "notebooks", "tests with vLLM", "notebooks with vLLM",
          "tests in a browser"]  # fmt: skip


@pytest.fixture
def checkout(tmp_path):
    for name in ("tests/run.sh", "tests/install.sh", "path/make", *(f".venv/bin/{name}" for name in PROGRAMS)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(FAKE)
        (tmp_path / name).chmod(0o755)
    shutil.copy(SCRIPT, tmp_path / "tests/run.sh")
    (tmp_path / "scratch").mkdir()
    return tmp_path


def environment(checkout, failing="nothing", **more):
    path = f"{checkout / 'path'}:{os.environ['PATH']}"
    places = {"TMPDIR": str(checkout / "scratch"), "CALLS": str(checkout / "calls"), "PATH": path}
    return {**os.environ, "CI": "", **places, "FAILING": failing, **more}


def run(checkout, failing="nothing", **more):
    """The exit status, and each phase's result as the summary has it."""
    done = subprocess.run(
        ["bash", checkout / "tests/run.sh"], env=environment(checkout, failing, **more), capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert not done.stderr
    summary = done.stdout.partition("=== Summary\n")[2]
    return done.returncode, dict(re.findall(r"^(.+?) +\d+ s  (.+)$", summary, re.MULTILINE))


def test_all_phases_pass(checkout):
    status, summary = run(checkout)
    assert status == 0
    assert list(summary) == [*PHASES, "all"]
    assert set(summary.values()) == {"passed"}


@pytest.mark.parametrize(
    ("failing", "phases"),
    [
        ("format", ["format"]),
        ("--check", ["format", "notebooks are built from their lessons"]),
        ("elsewhere", ["tests without an engine", "tests with llama.cpp", "tests in other environments"]),
        ("nbval", ["notebooks", "notebooks with vLLM"]),
    ],
)
def test_a_phase_that_fails_hides_none(checkout, failing, phases):
    status, summary = run(checkout, failing)
    assert status == 1
    assert list(summary) == [*PHASES, "all"]
    assert [name for name, result in summary.items() if result == "FAILED (3)"] == phases
    assert summary["all"] == f"FAILED: {len(phases)}"


def test_an_installation_that_fails_is_a_phase(checkout):
    (checkout / "tests/install.sh").write_text("#!/usr/bin/env bash\necho no network; exit 4\n")
    status, summary = run(checkout)
    assert status == 1
    assert [name for name, result in summary.items() if result == "FAILED (4)"] == [PHASES[7]]


def test_an_installation_that_fails_hides_none_of_the_others(checkout):
    shutil.copy(SCRIPT.with_name("install.sh"), checkout / "tests/install.sh")
    for name in ("chromium", "prometheus", "promtool", "haproxy", "openssl"):
        (checkout / "path" / name).touch(0o755)
    for name in ("text_generation", "graders", "ray", "site"):
        (checkout / ".venvs" / name).mkdir(parents=True)
        (checkout / ".venvs" / name / "complete").touch()
    done = subprocess.run(
        ["bash", checkout / "tests/install.sh"], env=environment(checkout, "vllm", CI="true"), capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == "FAILED: .venv/bin/courselib install vllm\n"
    assert {"python -m tests.gemma", "python -m tests.kernels.environments"} <= {
        *(checkout / "calls").read_text().splitlines()
    }


@pytest.mark.parametrize(("ci", "result"), [("true", "FAILED (1)"), ("", "passed")])
def test_a_library_that_cannot_be_compiled_is_a_failure_only_in_ci(checkout, ci, result):
    assert run(checkout, ".native", CI=ci)[1][PHASES[5]] == result


def test_every_test_is_in_one_phase_and_what_is_known_soonest_comes_first(checkout):
    run(checkout)
    calls = (checkout / "calls").read_text()
    marks = re.findall(r"-m pytest tests -m (.+?) -", calls.replace(" --", " -"))
    kinds = [(), ("engine",), ("elsewhere",), ("engine", "elsewhere"), ("engine", "elsewhere", "vllm")]
    for has in (*kinds, *((*kind, "browser") for kind in kinds)):
        values = {name: name in has for name in ("engine", "elsewhere", "vllm", "browser")}
        assert [eval(mark, {}, values) for mark in marks].count(True) == 1, has
    order = ["make .venv/.test", "ruff", "not engine and", "make .venv/.native", "-m engine", "-m elsewhere", "nbval"]
    assert sorted(order, key=calls.index) == order


def test_nothing_is_left_in_the_temporary_folder(checkout):
    run(checkout, "elsewhere")
    assert list((checkout / "scratch").iterdir()) == []


@pytest.mark.parametrize("ignored", [signal.SIG_DFL, signal.SIG_IGN], ids=["foreground", "background"])
def test_ended_early_it_takes_what_it_installs_with_it(checkout, ignored):
    (checkout / "tests/install.sh").write_text(SLOW_INSTALLER)
    script = subprocess.Popen(
        ["bash", checkout / "tests/run.sh"], env=environment(checkout), stdout=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, ignored),
    )  # fmt: skip
    started = checkout / "started"
    wait_until(lambda: started.exists() and started.read_text().strip())
    sleeper = psutil.Process(int(started.read_text()))
    script.terminate()
    assert script.wait(60) == 130
    wait_until(lambda: not sleeper.is_running())
    assert list((checkout / "scratch").iterdir()) == []


def test_the_slowest_of_several_reports(tmp_path):
    for n, seconds in enumerate((3, 1, 2)):
        case = f'<testcase classname="tests.a" name="test_{n}" time="{seconds}.5"/>'
        (tmp_path / f"{n}.xml").write_text(f"<testsuites><testsuite>{case}</testsuite></testsuites>")
    (tmp_path / "cut.xml").write_text("<testsuites><test")
    found = slowest([*sorted(tmp_path.glob("*.xml")), tmp_path / "none.xml"], count=2)
    assert found == [(3.5, "tests.a::test_0"), (2.5, "tests.a::test_2")]
