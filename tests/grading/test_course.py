"""The course's own answers, graded: the solutions earn all points, the stubs none, a table of answers none."""

import json
from collections import Counter

import pytest

from courselib.calls import Outcome
from courselib.exercises.catalogue import exercises
from courselib.exercises.check import seed_of
from courselib.exercises.judge import Function
from courselib.grading.assignment import read_assignments
from courselib.grading.confined import Limits
from courselib.grading.measures import MEASURES
from tests.grading.class_room import answer_cell, grade, hand_in
from tests.grading.conftest import COURSE

ASSIGNMENTS = read_assignments(COURSE / "exercises" / "en")
ENGINE = {name for name, each in ASSIGNMENTS.items() if (m := MEASURES.get(each.judge.name)) and m.engine}
# Every word that an engine has is in the lesson: there, a table is the answer.
TABLES = {"finish_reason"}
FUNCTIONS = [name for name, each in exercises().items() if isinstance(each, Function) and name not in TABLES]


def graded(tmp_path, kind, names):
    for name in names:
        hand_in(tmp_path / "in", "ada", name, (COURSE / kind / "en" / f"{name}.ipynb").read_bytes())
    limits = Limits(memory_bytes=2**30)
    results = {each.exercise: each for each in grade(tmp_path / "in", tmp_path / "out", ASSIGNMENTS, limits=limits)}
    assert set(results) == set(names)
    assert {name: each.failed for name, each in results.items() if each.failed} == {}
    return results


@pytest.mark.slow
def test_solutions_earn_all_points(confinement, tmp_path):
    for name, result in graded(tmp_path, "solutions", set(ASSIGNMENTS) - ENGINE).items():
        due = None if ASSIGNMENTS[name].judge.by_hand else ASSIGNMENTS[name].points
        assert (name, result.points, result.verdict, result.notes) == (name, due, "", ())


@pytest.mark.slow
def test_stubs_earn_none(confinement, tmp_path):
    for name, result in graded(tmp_path, "exercises", set(ASSIGNMENTS) - ENGINE).items():
        assert (name, result.points, result.notes) == (name, 0, ())
        assert "Nothing is written yet" in result.verdict


HOSTILE_SETTINGS = {
    "long": "{'n_predict': 10**9, 'ignore_eos': True}",
    "grammar": "{'grammar': 'root ::= ' + '\"a\"? ' * 2000, 'n_predict': 20}",
    "schema": "{'json_schema': {'type': 'string', 'minLength': 10**8}}",
    "alternatives": "{'n_probs': 49000, 'n_predict': 30, 'ignore_eos': True}",
    "copies": "{'n_cmpl': 100000}",
    "prompt": "{'prompt': 'x ' * 400, 'n_predict': 0}",
    "answered": "{'tokens_predicted': 20, 'stream': True}",
    "wrong-kinds": "{'n_predict': 'many', 'logit_bias': [[0, 1e308]] * 200, 'stop': ['']}",
    "nan": "{'temperature': float('nan')}",
    "text": "'n_predict'",
}
FLOOD = """
import socket, threading
def settings():
    for _ in range(100):
        try:
            out = socket.create_connection(("127.0.0.1", 8000), timeout=1)
            out.sendall(b"POST /completion HTTP/1.1\\r\\nAuthorization: Bearer " + server.key.encode() +
                        b"\\r\\nContent-Length: 99999999\\r\\n\\r\\n" + b"x" * 10**6)
        except OSError:
            pass
    return {"n_predict": 5}
"""


@pytest.mark.engine
def test_settings_are_measured_on_an_engine_that_hostile_ones_do_not_harm(confinement, tmp_path):
    name, other = sorted(ENGINE, reverse=True)
    hand_in(tmp_path / "in", "poet", other, (COURSE / "solutions" / "en" / f"{other}.ipynb").read_bytes())
    for kind, learner in (("exercises", "stub"), ("solutions", "0-right"), ("solutions", "zz-right")):
        hand_in(tmp_path / "in", learner, name, (COURSE / kind / "en" / f"{name}.ipynb").read_bytes())
    for learner, value in HOSTILE_SETTINGS.items():
        hand_in(tmp_path / "in", learner, name, _with(name, f"def settings():\n    return {value}\n"))
    hand_in(tmp_path / "in", "flood", name, _with(name, FLOOD))
    results = {each.learner: each for each in grade(tmp_path / "in", tmp_path / "out", ASSIGNMENTS, limits=Limits())}
    points = {learner: each.points for learner, each in results.items()}
    assert points.pop("poet") == ASSIGNMENTS[other].points
    full = ASSIGNMENTS[name].points
    assert points == dict.fromkeys(["stub", "flood", *HOSTILE_SETTINGS], 0) | {"0-right": full, "zz-right": full}
    assert {each.failed for each in results.values()} == {""}
    assert "Nothing is written yet" in results["stub"].verdict


def _with(name, code):
    notebook = json.loads((COURSE / "exercises" / "en" / f"{name}.ipynb").read_text(encoding="utf-8"))
    answer_cell(notebook)["source"] = code
    return notebook


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_table_of_the_answers_that_the_check_shows_earns_nothing(name):
    """The check in the notebook always makes the same calls; the grader makes others."""
    exercise = exercises()[name]
    shown = exercise.calls(seed_of(""))
    table = {json.dumps(call): exercise.right(*json.loads(json.dumps(call))) for call in shown}
    for key in ("a key", "another", "a third"):
        calls = exercise.calls(seed_of(f"{key}\n{name}"))
        frequent = json.loads(Counter(map(json.dumps, table.values())).most_common(1)[0][0])
        outcomes = [Outcome(table.get(json.dumps(call), frequent)) for call in calls]
        assert exercise.verdict(calls, outcomes)
        assert not exercise.verdict(calls, [Outcome(exercise.right(*json.loads(json.dumps(call)))) for call in calls])
