"""Results as the grader makes them, without running anything: for tests of tables and pages."""

from pathlib import Path

from courselib.calls import Outcome
from courselib.grading.assignment import read_assignments
from courselib.grading.results import Result
from tests.exercises.cases_sampling import CASES
from tests.grading import class_answers

ROOT = Path(__file__).parents[2]
HOSTILE = "<script>alert('x')</script>&\x1b[31m\u202egnp\ud800"
ASSIGNMENTS = read_assignments(ROOT / "exercises" / "en")
NUCLEUS, SOFTMAX, SEEDS = "211_nucleus", "210_softmax", "220_explain_seeds"
COUNTED = {name: ASSIGNMENTS[name] for name in (SOFTMAX, NUCLEUS, SEEDS)}
NAMES = ("Ada Lovelace", "Grace Hopper", "Alan Turing", "Katherine Johnson", "王小明", "José Ñandú", "Edsger Dijkstra",
         "Barbara Liskov", "Ken Thompson")  # fmt: skip


def judged(function, name=SOFTMAX, seed=1):
    """The verdict on a function."""
    judge = ASSIGNMENTS[name].judge
    calls = judge.calls(seed)
    outcomes = []
    for call in calls:
        try:
            value = function(*call)
            outcomes.append(Outcome(value.tolist() if hasattr(value, "tolist") else value))
        except Exception as error:
            outcomes.append(Outcome(error=f"{type(error).__name__}: {error}"))
    return judge.verdict(calls, outcomes)


def result(learner, exercise, *, points=None, verdict="", answer="", number="", **more):
    most = ASSIGNMENTS[exercise].points
    earned = (0 if verdict else most) if points is None else points
    path = f"{learner}/{exercise}.ipynb"
    return Result(learner, number, path, exercise, earned, most, verdict, answer=answer, **more)


def waiting(learner, answer, number=""):
    """An answer that a person has to grade."""
    path = f"{learner}/{SEEDS}.ipynb"
    return Result(learner, number, path, SEEDS, None, ASSIGNMENTS[SEEDS].points, answer=answer)


def class_of_nine():
    """Nine learners: right and wrong answers, one copy, a run that failed, a stray file, essays to read."""
    wrong = [judged(function) for function, _words in CASES["softmax"].wrong]
    results = []
    for n, name in enumerate(NAMES):
        number = str(4711 + n)
        text = (*class_answers.NUCLEUS, class_answers.RENAMED)[n]
        if n != 4:
            verdict = wrong[n % len(wrong)] if n % 2 else ""
            results.append(result(name, SOFTMAX, verdict=verdict, answer=class_answers.SOFTMAX, number=number))
        results.append(result(name, NUCLEUS, answer=text, number=number))
        if n < 3:
            results.append(waiting(name, class_answers.ESSAYS[n], number))
    results.append(Result(NAMES[3], "4714", f"{NAMES[3]}/diary.ipynb", verdict="This notebook belongs to none."))
    broken = result(NAMES[5], SOFTMAX, verdict="It could not be judged.", number="4716", failed="OSError: no space")
    return [broken if (each.learner, each.exercise) == (NAMES[5], SOFTMAX) else each for each in results]
