"""A whole run: submissions in, a journal of results out, on as many cores as there are."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
Keep = Callable[[int, Result], None]


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


@dataclass(frozen=True)
class Work:
    """What one learner handed in, and is still to be graded.

    Args:
        learner: whose it is.
        platform_id: the platform's number of the learner; may be empty.
        files: what was handed in, each with its place among all submissions.
    """

    learner: str
    platform_id: str
    files: Sequence[tuple[int, Submission]]

    def read(self) -> Iterator[Handed]:
        """The files, each read when it is asked for: all of them together may be more than the memory holds."""
        return (_read(submission) for _at, submission in self.files)


# Grades all work and hands each result, with its place, to be kept; of one thread at a time.
Crew = Callable[[Plan, Sequence[Work], Keep], None]


def run(
    submissions: Sequence[Submission],
    plan: Plan,
    journal: Journal,
    *,
    told: Told,
    jobs: int = 1,
    crew: Crew | None = None,
) -> list[Result]:
    """Grade what the journal does not have yet, and return all results, in the order of the submissions.

    Args:
        submissions: what was handed in.
        plan: how it is graded.
        journal: gets each result as soon as it is there.
        told: called with how many files are done, and of how many.
        jobs: how many learners are graded at a time.
        crew: who grades; by default threads of this process, one for each job.
    """
    of_course = tuple(plan.assignments.values())
    # Read here, and once more when it is graded: all of them together may be more than the memory holds.
    names = [identity(_read(each).data, each.learner, each.path, of_course, plan.key) for each in submissions]
    left: dict[tuple[str, str], list[tuple[int, Submission]]] = {}
    for at, each in enumerate(submissions):
        if names[at] not in journal.results:
            left.setdefault((each.learner, each.platform_id), []).append((at, each))
    done = itertools.count(len(submissions) - sum(map(len, left.values())) + 1)

    def keep(at: int, result: Result) -> None:
        journal.add(names[at], result)
        told(next(done), len(submissions))

    (crew or threads(jobs))(plan, [Work(*who, files) for who, files in left.items()], keep)
    return [journal.results[name] for name in names]


def graded(
    plan: Plan, learner: str, platform_id: str, files: Iterable[Handed], place: int, engines: Engines
) -> Iterator[Result]:
    """Results of one learner's files, in their order.

    Args:
        plan: how they are graded.
        learner: whose they are.
        platform_id: the platform's number of the learner; may be empty.
        files: read when they are asked for.
        place: a number that nothing else in this process has that grades at the same time.
        engines: for answers that need one.
    """
    grader = Grader(plan.assignments, plan.key, plan.models, place, plan.limits, plan.is_unsafe, engines)
    return grader.learner(learner, platform_id, files)


def threads(jobs: int) -> Crew:
    """Threads of this process, each with one learner at a time."""

    def grade_all(plan: Plan, work: Sequence[Work], keep: Keep) -> None:
        places: queue.SimpleQueue[int] = queue.SimpleQueue()
        for place in range(jobs):
            places.put(place)
        lock, engines = threading.Lock(), Engines()

        def grade(each: Work) -> None:
            place = places.get()
            try:
                results = graded(plan, each.learner, each.platform_id, each.read(), place, engines)
                for (at, _file), result in zip(each.files, results, strict=True):
                    with lock:
                        keep(at, result)
            finally:
                places.put(place)

        with ThreadPoolExecutor(jobs) as pool:
            try:
                for done in as_completed([pool.submit(grade, each) for each in work]):
                    done.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            finally:
                engines.stop()

    return grade_all


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
