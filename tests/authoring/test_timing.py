"""Slow cells: announced in the notebook, and compared with what the build measured."""

from __future__ import annotations

import pytest

from courselib.authoring import build, timing
from courselib.authoring.build import render
from courselib.authoring.outputs import take_over
from courselib.authoring.project import read_project
from courselib.errors import LessonError
from tests.authoring.project import fixture, make_project, read

LESSON = fixture("lesson.md")
GOLDEN, NEXT = "```{code-cell} ipython3\n:tags: [golden]\n", "```{code-cell} ipython3\nimport pathlib"


@pytest.fixture(autouse=True)
def load(monkeypatch):
    """A quiet machine, unless a test changes it."""
    load = [0.5]
    monkeypatch.setattr("os.getloadavg", lambda: (load[0], 0.0, 0.0), raising=False)
    return load


def rendered(root):
    lesson = read(root, "bytes")
    return lesson, render(root, lesson, read_project(root), path="notebooks/en/bytes.ipynb")


def changed(tmp_path, old: str, option: str):
    head, rest = old.split("\n", 1)
    return make_project(tmp_path, bytes=LESSON.replace(old, f"{head}\n{option}\n{rest}"))


def test_an_announcement_stands_above_its_cell(tmp_path):
    _lesson, made = rendered(changed(tmp_path, NEXT, ":takes: 20"))
    at = next(index for index, cell in enumerate(made.notebook.cells) if cell.source.startswith("import pathlib"))
    assert made.notebook.cells[at - 1].source.endswith(
        "\n\n*The next cell takes about 20 s.*\u00a0<sup>recorded: two cores</sup>"
    )
    assert made.origins[at - 1] is not None


def test_without_prose_above_it_is_a_cell_of_its_own(tmp_path):
    """The set-up cell stands between a lesson's first prose and its first code."""
    _lesson, made = rendered(changed(tmp_path, GOLDEN, ":takes: 120"))
    index = next(index for index, cell in enumerate(made.notebook.cells) if "2 minutes" in cell.source)
    assert made.origins[index] is None
    assert made.notebook.cells[index].source.startswith("*The next cell takes about 2 minutes.*")
    assert len(made.origins) == len(made.notebook.cells)


@pytest.mark.parametrize("said", ["7", "0", "soon", "[20]"])
def test_only_coarse_steps_can_be_said(tmp_path, said):
    with pytest.raises(LessonError, match="one of: 5, 10, 15, 20"):
        read(changed(tmp_path, NEXT, f":takes: {said}"), "bytes")


def test_it_changes_no_output(tmp_path):
    _lesson, plain = rendered(make_project(tmp_path / "plain", bytes=LESSON))
    _lesson, marked = rendered(changed(tmp_path / "marked", NEXT, ":takes: 20"))
    assert plain.code == marked.code


@pytest.mark.parametrize(
    ("option", "took", "found"),
    [
        ("", 4.9, ""),
        ("", 22, "22: this cell took about 20 s when the build ran it; announce that: ':takes: 20'."),
        (":takes: 20", 9, ""),
        (":takes: 20", 70, ""),
        (":takes: 10", 70, "took about 60 s when the build ran it, and its option says 10."),
        (":takes: 60", 11, "took about 10 s when the build ran it, and its option says 60."),
        (":takes: 60", 1, ""),
    ],
)
def test_the_last_run_is_kept_and_compared(tmp_path, option, took, found):
    root = changed(tmp_path, NEXT, option) if option else make_project(tmp_path, bytes=LESSON)
    lesson, made = rendered(root)
    at = next(index for index, cell in enumerate(made.notebook.cells) if cell.source.startswith("import pathlib"))
    timing.keep(made, {0: 100.0, at: took})
    made.mark_executed()
    _lesson, again = rendered(root)
    assert take_over(again, made.notebook)
    for each in (made, again):
        problems = [str(problem) for problem in timing.problems(lesson, each)]
        assert len(problems) == bool(found)
        assert not found or found.lstrip("0123456789: ") in problems[0]


def test_a_crowded_machine_measures_nothing(tmp_path, load):
    load[0] = 1000.0
    lesson, made = rendered(make_project(tmp_path, bytes=LESSON))
    timing.keep(made, dict.fromkeys(range(len(made.notebook.cells)), 60.0))
    assert list(timing.problems(lesson, made)) == []


@pytest.mark.slow
def test_the_build_measures_what_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "SLOW_S", 0.9)
    root = make_project(tmp_path, bytes=LESSON.replace("text = ", "import time; time.sleep(1); text = "))
    report = build(root)
    assert "this cell took about 5 s when the build ran it" in report.problems[0]
    assert "lessons/bytes.md:19: cell 2" in report.problems[0]
    assert build(root, check=True).problems == report.problems, "nothing is run again, nothing is forgotten"
