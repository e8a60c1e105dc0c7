"""Results on disk: whatever a run was broken off by, none is lost, none is doubled, and the tables are the same."""

import json
import random
import subprocess
import sys
import time

import pytest

from courselib.errors import CourseError
from courselib.grading.results import LOG, Journal, Result, identity
from courselib.grading.scores import SCORES
from tests.grading.class_room import grade, hand_in, with_answer

RESULT = Result("ada", "12", "ada/x.ipynb", "010_ttft", 3, 3, "two\nlines", ("a note",), "def f(): \u2028\ud800")


def test_what_was_kept_is_read_back(tmp_path):
    journal = Journal(tmp_path)
    journal.add("one", RESULT)
    journal.add("two", Result("eve", "", "x", points=None))
    assert Journal(tmp_path).results == {"one": RESULT, "two": Result("eve", "", "x", points=None)}


def test_a_torn_last_line_is_forgotten_wherever_it_is_torn(tmp_path):
    journal = Journal(tmp_path)
    journal.add("one", RESULT)
    whole = (tmp_path / LOG).read_bytes()
    journal.add("two", RESULT)
    both = (tmp_path / LOG).read_bytes()
    for length in range(len(whole), len(both)):
        (tmp_path / LOG).write_bytes(both[:length])
        again = Journal(tmp_path)
        assert list(again.results) == ["one"]
        again.add("three", RESULT)
        assert list(Journal(tmp_path).results) == ["one", "three"]


@pytest.mark.parametrize("line", [b"{}", b"null", b"not json", b'{"identity": "x", "unknown": 1}', b"\xff"])
def test_a_log_that_is_none_is_refused_with_a_sentence(tmp_path, line):
    (tmp_path / LOG).write_bytes(line + b"\n")
    with pytest.raises(CourseError, match="Line 1 of"):
        Journal(tmp_path)


def test_a_result_is_kept_under_all_that_decides_it(assignments):
    one = tuple(assignments.values())
    base = identity(b"data", "ada", "x", one, "key")
    assert base == identity(b"data", "ada", "x", one, "key")
    others = [
        identity(b"datb", "ada", "x", one, "key"),
        identity(b"data", "adb", "x", one, "key"),
        identity(b"data", "ada", "y", one, "key"),
        identity(b"data", "ada", "x", one[1:], "key"),
        identity(b"data", "ada", "x", one, "kez"),
        identity(b"data", "a", "dax", one, "key"),
    ]
    assert len({base, *others}) == len(others) + 1


PROGRAM = """
import sys
from pathlib import Path
from courselib.grading.assignment import read_assignments
from tests.grading.class_room import grade
from tests.grading.conftest import COURSE
grade(Path(sys.argv[1]), Path(sys.argv[2]), read_assignments(COURSE / "exercises" / "en"), jobs=int(sys.argv[3]))
"""


@pytest.mark.slow
@pytest.mark.usefixtures("confinement")
def test_killed_at_any_moment_and_resumed(tmp_path, assignments, solution):
    """The same bytes in the tables with one job and two, and each file graded once."""
    names = ("010_ttft", "011_percentile", "210_softmax")
    for number in range(6):
        for name in names[: 1 + number % 3]:
            notebook = solution(name)
            if number % 4 == 3:
                notebook = with_answer(notebook, "def ttft(events): return 0")
            hand_in(tmp_path / "in", f"learner {number}", name, notebook)
    files = len(list((tmp_path / "in").rglob("*.ipynb")))
    grade(tmp_path / "in", tmp_path / "whole", assignments, jobs=1)
    due = (tmp_path / "whole" / SCORES).read_bytes()
    assert due.count(b"\n") == 7
    moments, kills = random.Random(7), 0
    for jobs in (1, 2):
        out = tmp_path / f"broken-{jobs}"
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / "in"), str(out), str(jobs)]
        out.mkdir()
        lines, running = 0, None
        while running is None or running.returncode:
            running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
            # Killed after the next one, two or three results, at some moment of the one after them.
            lines += moments.randint(1, 3)
            while running.poll() is None:
                if (out / LOG).exists() and (out / LOG).read_bytes().count(b"\n") >= lines:
                    time.sleep(moments.random() / 5)
                    running.kill()
                    kills += running.wait() != 0
                    break
                time.sleep(0.01)
        assert (out / SCORES).read_bytes() == due
        kept = [json.loads(line)["identity"] for line in (out / LOG).read_bytes().splitlines()]
        assert len(kept) == len(set(kept)) == files
    assert kills >= 4
