"""A whole run: submissions in, a journal of results out, on as many cores as there are."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from courselib.grading.assignment import Assignment
from courselib.grading.collect import CannotRead, Submission
from courselib.grading.confined import Limits
from courselib.grading.engines import Engines
from courselib.grading.grade import Grader, Handed
from courselib.grading.results import Journal, Result, identity

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Plan:
    """How files are graded.

    Args:
        assignments: the course's exercises, by name.
        key: other numbers in the calls for another key.
        models: the folder with the course's models.
        limits: what one answer may take.
        is_unsafe: whether learners' code runs with limits only.
    """

    assignments: Mapping[str, Assignment]
    key: str
    models: Path
    limits: Limits
    is_unsafe: bool = False


def run(submissions: Sequence[Submission], plan: Plan, journal: Journal, *, jobs: int, told: Told) -> list[Result]:
    """Grade what the journal does not have yet, and return all results, in the order of the submissions.

    Args:
        submissions: what was handed in.
        plan: how it is graded.
        journal: gets each result as soon as it is there.
        jobs: how many learners are graded at a time.
        told: called with how many files are done, and of how many.
    """
    of_course = tuple(plan.assignments.values())
    # Read here, and once more when it is graded: all of them together may be more than the memory holds.
    names = [identity(_read(each).data, each.learner, each.path, of_course, plan.key) for each in submissions]
    left: dict[tuple[str, str], list[int]] = {}
    for at, each in enumerate(submissions):
        if names[at] not in journal.results:
            left.setdefault((each.learner, each.platform_id), []).append(at)
    places: queue.SimpleQueue[int] = queue.SimpleQueue()
    for place in range(jobs):
        places.put(place)
    kept = len(submissions) - sum(map(len, left.values()))
    lock, done, engines = threading.Lock(), itertools.count(kept + 1), Engines()

    def grade(who: tuple[str, str], ats: Sequence[int]) -> None:
        place = places.get()
        try:
            grader = Grader(plan.assignments, plan.key, plan.models, place, plan.limits, plan.is_unsafe, engines)
            for at, result in zip(ats, grader.learner(*who, (_read(submissions[at]) for at in ats)), strict=True):
                with lock:
                    journal.add(names[at], result)
                    told(next(done), len(submissions))
        finally:
            places.put(place)

    with ThreadPoolExecutor(jobs) as pool:
        try:
            for graded in as_completed([pool.submit(grade, who, ats) for who, ats in left.items()]):
                graded.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            engines.stop()
    return [journal.results[name] for name in names]


def latest(results: Sequence[Result]) -> Iterator[Result]:
    """Of each learner and exercise the last file, as a platform numbers what is handed in again."""
    last: dict[tuple[str, str, str], Result] = {}
    for each in results:
        # What belongs to no exercise is kept for itself.
        last[each.learner, each.platform_id, each.exercise or each.path] = each
    yield from last.values()


def _read(submission: Submission) -> Handed:
    data, problem = b"", submission.problem
    if not problem:
        try:
            data = submission.read()
        except CannotRead as error:
            problem = str(error)
    return Handed(submission.path, submission.file, data, problem)
