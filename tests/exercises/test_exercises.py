"""Every exercise: its solution passes, an untouched copy does not, wrong answers get their message, nothing leaks."""

from __future__ import annotations

import functools
import json
import re
import socket
import ssl
from pathlib import Path

import nbformat
import pytest

import courselib
from courselib.authoring.exercise_cells import judge_name
from courselib.authoring.source import read_lesson
from courselib.cli import copies
from courselib.errors import CheckFailed, CourseError, LessonError, SettingsError
from courselib.exercises.catalogue import exercises
from courselib.exercises.check import made
from tests.exercises import (
    cases_arithmetic,
    cases_memory,
    cases_programs,
    cases_sampling,
    cases_scheduling,
    cases_serving,
    cases_settings,
    cases_streams,
    cases_texts,
    cases_words,
)

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "lessons" / "exercises").glob("*.md"))
CASES = (
    cases_sampling.CASES
    | cases_arithmetic.CASES
    | cases_memory.CASES
    | cases_scheduling.CASES
    | cases_serving.CASES
    | cases_programs.CASES
    | cases_streams.CASES
    | cases_texts.CASES
    | cases_settings.CASES
    | cases_words.CASES
)
LEAST_WRONG = 3
VARIANTS = 50
LIVE = {path for path in SOURCES if read_lesson(ROOT, path).needs}
each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
each_run = pytest.mark.parametrize(
    "source",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.engine] if path in LIVE else []) for path in SOURCES],
)
each_name = pytest.mark.parametrize("name", sorted(exercises()))


def notebook(folder: str, source: Path):
    return nbformat.read(ROOT / folder / "en" / f"{source.stem}.ipynb", as_version=4)


def run(cells) -> dict:
    """Run what a learner runs, without the set-up cell, which says what is on this machine."""
    names: dict = {"courselib": courselib}
    for cell in cells:
        if cell.cell_type == "code" and "setup" not in cell.metadata.get("tags", ()):
            exec(cell.source, names)
    return names


@pytest.fixture
def ended(monkeypatch):
    """Ends the servers that a notebook has started, also where it fails before it stops them."""
    started = []
    launch = courselib.launch

    def noted(*arguments, **settings):
        started.append(launch(*arguments, **settings))
        return started[-1]

    monkeypatch.setattr(courselib, "launch", noted)
    yield
    for server in started:
        server.stop()


def answer_of(source: Path):
    """The solution's function: the one that its check cell passes on."""
    names = run(notebook("solutions", source).cells)
    check = re.search(r"courselib\.check\(\"\w+\", (\w+)\)", source.read_text(encoding="utf-8"))
    return names[check[1]]


def asked_once(answer):
    """A live engine answers each question once, however many variants ask it: its settings are deterministic."""
    given: dict = {}

    def cached(*arguments):
        key = json.dumps(arguments)
        if key not in given:
            given[key] = answer(*arguments)
        return given[key]

    return cached


def test_each_exercise_has_a_judge_and_cases():
    names = [judge_name(read_lesson(ROOT, source)) for source in SOURCES]
    assert sorted(names) == sorted(exercises()) == sorted(CASES)


@each_source
def test_the_lesson_exists(source):
    exercise = read_lesson(ROOT, source).exercise
    assert (ROOT / "lessons" / f"{exercise.lesson}.md").is_file()


@each_run
@pytest.mark.usefixtures("ended")
def test_the_solution_scores_full(source):
    run(notebook("solutions", source).cells)


@each_run
@pytest.mark.usefixtures("ended")
def test_an_untouched_copy_scores_nothing(source):
    with pytest.raises(CheckFailed, match="Nothing is written yet"):
        run(notebook("exercises", source).cells)


@each_run
@pytest.mark.usefixtures("ended")
def test_the_solution_solves_every_variant(source, monkeypatch):
    # Clients read all certificates for each request, which takes most of its time; there is no TLS on this machine.
    monkeypatch.setattr(ssl, "create_default_context", functools.cache(ssl.create_default_context))
    name, answer = judge_name(read_lesson(ROOT, source)), answer_of(source)
    exercise = exercises()[name]
    if source in LIVE:
        answer = asked_once(answer)
    for seed in range(VARIANTS):
        calls = exercise.calls(seed)
        assert exercise.verdict(calls, made(exercise, answer, calls)) == "", seed


@each_name
def test_another_right_answer_passes(name):
    assert name in repr(courselib.check(name, CASES[name].right))


@each_name
def test_each_wrong_answer_gets_its_own_message(name):
    said = []
    for wrong, words in CASES[name].wrong:
        with pytest.raises(CheckFailed) as caught:
            courselib.check(name, wrong)
        assert words in caught.value.message
        assert "Read: " in caught.value.message
        said.append(caught.value.message)
    assert len(set(said)) == len(said) >= LEAST_WRONG


@each_name
def test_calls_are_json_and_the_same_for_the_same_seed(name):
    exercise = exercises()[name]
    calls = exercise.calls(7)
    assert json.loads(json.dumps(calls)) == [list(call) for call in calls] == [list(c) for c in exercise.calls(7)]


def secrets(source: Path) -> set[str]:
    """The lines that only the solution may have."""
    found: set[str] = set()
    for cell in read_lesson(ROOT, source).cells:
        if {"solution", "hidden-tests"} & set(cell.tags):
            found |= set(cell.source.split("\n"))
        for part in re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", cell.source, re.DOTALL):
            found |= set(part.split("\n"))
    return {line.strip() for line in found if len(line.strip()) > 8}


@each_source
def test_nothing_of_the_answer_is_in_the_learners_copy(source):
    copy = notebook("exercises", source)
    text = json.dumps(copy, ensure_ascii=False)
    assert secrets(source)
    assert [line for line in secrets(source) if json.dumps(line, ensure_ascii=False)[1:-1] in text] == []
    assert not re.search(r"(BEGIN|END) SOLUTION|HIDDEN TESTS|hidden-tests", text)
    assert all(not cell.outputs for cell in copy.cells if cell.cell_type == "code")


@each_source
def test_a_leak_would_be_seen(source):
    text = json.dumps(notebook("solutions", source), ensure_ascii=False)
    assert all(json.dumps(line, ensure_ascii=False)[1:-1] in text for line in secrets(source))


@each_source
@pytest.mark.parametrize("folder", ["exercises", "solutions"])
def test_nbgraders_metadata(source, folder):
    marks = [cell.metadata.nbgrader for cell in notebook(folder, source).cells if "nbgrader" in cell.metadata]
    answer, check = marks
    exercise = read_lesson(ROOT, source).exercise
    by_hand = exercises()[judge_name(read_lesson(ROOT, source))].by_hand
    assert exercise.by_hand == by_hand
    assert (answer.solution, answer.locked, answer.schema_version) == (True, False, 3)
    assert (check.solution, check.locked, check.schema_version) == (False, True, 3)
    assert (answer.grade, check.grade) == (by_hand, not by_hand)
    assert [mark.points for mark in marks if "points" in mark] == [exercise.points]
    assert answer.grade_id != check.grade_id


def test_what_a_person_grades_is_not_called_right():
    assert (
        repr(courselib.check("explain_seeds", CASES["explain_seeds"].right))
        == "explain_seeds: written. A person gives the points."
    )


def test_what_is_no_exercise_or_no_function_is_said():
    with pytest.raises(SettingsError, match="There is no exercise 'nothing'"):
        courselib.check("nothing", len)
    with pytest.raises(SettingsError, match="Give check the function itself"):
        courselib.check("softmax", [0.5])


def test_a_key_gives_other_numbers():
    from courselib.exercises.check import seed_of

    softmax = exercises()["softmax"]
    assert softmax.calls(seed_of("course/ada")) != softmax.calls(seed_of("course/bob"))


def test_a_learners_copies_link_to_each_other(tmp_path):
    copies.update(ROOT / "notebooks" / "en", tmp_path)
    copies.update(ROOT / "exercises" / "en", tmp_path / copies.EXERCISES)
    found = 0
    for path in tmp_path.rglob("*.ipynb"):
        for link in re.findall(r"\]\(((?:\.\./|exercises/)[\w/.]+\.ipynb)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).resolve().is_relative_to(tmp_path.resolve())
            assert (path.parent / link).is_file(), link
            found += 1
    assert found >= 2 * len(SOURCES)


def test_by_hand_is_true_or_false(tmp_path):
    source = ROOT / "lessons" / "exercises" / "220_explain_seeds.md"
    text = source.read_text(encoding="utf-8")
    assert text.count("by_hand: true") == 1
    path = tmp_path / source.relative_to(ROOT)
    path.parent.mkdir(parents=True)
    path.write_text(text.replace("by_hand: true", "by_hand: perhaps"), encoding="utf-8")
    with pytest.raises(LessonError, match="true or false"):
        read_lesson(tmp_path, path)


def test_the_errors_of_launches_are_those_that_launch_raises():
    for settings, error in exercises()["repair_launch"].calls(5):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            there = taken.getsockname()[1]
            error = error.replace(str(settings.get("port")), str(there))
            if "model" not in settings:  # the notebook has a file that is really cut
                with pytest.raises(CourseError) as raised:
                    courselib.launch("llama.cpp", **settings | ({"port": there} if "port" in settings else {}))
                assert raised.value.message == error
