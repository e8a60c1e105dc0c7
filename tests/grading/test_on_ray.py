"""A real Ray cluster of two workers grades as one core and two cores do, and loses nothing with a worker."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from courselib.errors import CourseError, EngineMissing
from courselib.grading import on_ray, sandbox
from courselib.grading.confined import Limits
from courselib.grading.run import Plan
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
EXERCISES = ("210_softmax", "321_blocks_for")
LEARNERS = 10
ENVIRONMENT = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def submissions(tmp_path_factory):
    """A class: right answers, and untouched copies."""
    folder = tmp_path_factory.mktemp("class")
    for learner in range(LEARNERS):
        for name in EXERCISES:
            kind = "solutions" if (learner + len(name)) % 3 else "exercises"
            (folder / f"learner{learner}").mkdir(exist_ok=True)
            text = (ROOT / kind / "en" / f"{name}.ipynb").read_text(encoding="utf-8")
            (folder / f"learner{learner}" / f"{name}.ipynb").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def cluster(ray_programs):
    """The first process of a cluster with two workers, and its address."""
    # Short: Ray makes sockets below it.
    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp", ignore_cleanup_errors=True) as folder:
        options = ["--port=0", "--num-cpus=2", "--include-dashboard=false", f"--temp-dir={folder}", "--block"]
        head = subprocess.Popen(
            [f"{ray_programs}/ray", "start", "--head", *options],
            env=os.environ | ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        family = psutil.Process(head.pid)
        address = Path(folder, "ray_current_cluster")
        try:
            wait_until(lambda: head.poll() is not None or (address.exists() and address.read_text()), 120)
            assert head.poll() is None
            yield family, address.read_text()
        finally:
            started = family.children(recursive=True)
            head.send_signal(signal.SIGTERM)
            psutil.wait_procs([family, *started], 20)
            for process in started:
                if process.is_running():
                    process.kill()
            head.kill()
            head.wait()


@pytest.fixture
def grade(ray_programs, submissions, tmp_path):
    """Starts ``courselib grade`` on the class, with results in a folder of the test; what is left of it is ended."""
    started = []

    def start(name, *options, only=""):
        command = [f"{ray_programs}/python", "-m", "courselib.cli.main", "grade", submissions / only]
        command += ["--out", tmp_path / name, "--key", "k", *options]
        environment = os.environ | ENVIRONMENT
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment, **both))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def at_work(cluster_process):
    """The workers that have a learner's files."""
    found = []
    for each in cluster_process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "ray::_graded" in " ".join(each.cmdline()):
                found.append(each)
    return found


def kept(folder):
    log = folder / "log.jsonl"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


@pytest.mark.slow
def test_the_scores_are_the_same_although_a_worker_is_killed(confinement, cluster, grade, tmp_path):
    family, address = cluster
    running = grade("ray", "--ray", address)
    wait_until(lambda: kept(tmp_path / "ray"), 120)
    wait_until(lambda: at_work(family), 60)
    at_work(family)[0].kill()
    assert len(kept(tmp_path / "ray")) < LEARNERS * len(EXERCISES)
    output, _errors = running.communicate(timeout=200)
    assert running.returncode == 0, output
    assert "the task will be retried" in output  # Ray's own words: the kill hit a task

    results = kept(tmp_path / "ray")
    assert len({each["identity"] for each in results}) == len(results) == LEARNERS * len(EXERCISES)
    assert not any(each["failed"] for each in results)
    scores = (tmp_path / "ray" / "scores.csv").read_bytes()
    assert b",4," in scores
    for jobs in ("1", "2"):
        assert grade(jobs, "--jobs", jobs).wait(200) == 0
        assert (tmp_path / jobs / "scores.csv").read_bytes() == scores


@pytest.mark.slow
def test_a_learner_whose_workers_are_all_lost_is_reported(confinement, cluster, grade, tmp_path):
    family, address = cluster
    running = grade("ray", "--ray", address, only="learner1")
    while running.poll() is None:
        for each in at_work(family):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        time.sleep(0.02)
    output = running.stdout.read()
    assert running.returncode == 0, output
    assert "2 could not be judged" in output
    results = kept(tmp_path / "ray")
    assert [each["points"] for each in results] == [0, 0]
    assert all("WorkerCrashedError" in each["failed"] for each in results)


def test_no_cluster(grade, ray_programs):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    running = grade("ray", "--ray", address)
    output, _errors = running.communicate(timeout=120)
    assert running.returncode
    assert f"No Ray cluster answers at {address}." in output
    assert "Traceback" not in output


def test_ray_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineMissing, match=r"pip install 'courselib\[ray\]'"):
        on_ray.cluster("auto")


def test_another_version_is_refused():
    plan = Plan({}, "k", Path("/nonexistent"), Limits(), is_unsafe=True)
    assert on_ray._graded((on_ray.VERSION, plan, {}), "a", "", []) == []
    with pytest.raises(CourseError, match=r"has courselib .*, and this machine has 0\.0\.0"):
        on_ray._graded(("0.0.0", plan, {}), "a", "", [])


def test_a_machine_without_bubblewrap_is_named(monkeypatch):
    def missing():
        raise EngineMissing("It needs bubblewrap.")

    monkeypatch.setattr(sandbox, "require", missing)
    plan = Plan({}, "k", Path("/nonexistent"), Limits())
    with pytest.raises(EngineMissing, match=f"{socket.gethostname()}: It needs bubblewrap."):
        on_ray._graded((on_ray.VERSION, plan, {}), "a", "", [])
