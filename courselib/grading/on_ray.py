"""Grading on the machines of a Ray cluster: one task for each learner.

Ray decides what runs where, and runs a task again whose worker is lost. Results come back to the program that asked,
which alone writes. On each machine there must be this version of courselib, and bubblewrap: code is confined there as
it is here.
"""

from __future__ import annotations

import functools
import itertools
import logging
import socket
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from courselib.errors import CourseError, EngineMissing
from courselib.exercises import catalogue
from courselib.grading import sandbox
from courselib.grading.engines import Engines
from courselib.grading.grade import Handed, not_judged, words_of
from courselib.grading.results import Result
from courselib.grading.run import Crew, Keep, Plan, Work, graded
from courselib.i18n import _
from courselib.version import VERSION

# How often a learner's files may lose their worker until they themselves are taken for the reason.
MOST_LOST = 5
# Tasks that are handed over at a time, for each processor of the cluster: files wait here, not in the cluster's memory.
AHEAD = 2
REACH_S = 10.0


def cluster(address: str) -> Crew:
    """The workers of a Ray cluster.

    Args:
        address: as ``ray.init`` takes it: ``HOST:PORT``, ``ray://HOST:PORT``, or ``auto`` for this machine's.

    Raises:
        EngineMissing: Ray is not installed here.
    """
    try:
        import ray
    except ImportError as error:
        text = _("Grading on a cluster needs Ray, which is not installed: pip install 'courselib[ray]'.")
        raise EngineMissing(text) from error

    def grade_all(plan: Plan, work: Sequence[Work], keep: Keep) -> None:
        try:
            _reach(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, ValueError) as error:
            text = _("No Ray cluster answers at {address}. Start one with ray start --head, and give its address.")
            raise CourseError(text.format(address=address), details=str(error)) from error
        try:
            _grade_all(ray, plan, work, keep)
        finally:
            ray.shutdown()

    return grade_all


def _reach(address: str) -> None:
    """Raise an OSError at once where nothing listens, for which Ray would wait for minutes."""
    host, _colon, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), REACH_S).close()


def _grade_all(ray: Any, plan: Plan, work: Sequence[Work], keep: Keep) -> None:
    task = ray.remote(num_cpus=1, max_retries=MOST_LOST)(_graded)
    # Judges hold functions: they are taken from the worker's own course, by their names.
    judges = {name: each.judge.name for name, each in plan.assignments.items()}
    none: Any = None
    bare = {name: replace(each, judge=none) for name, each in plan.assignments.items()}
    sent = ray.put((VERSION, replace(plan, assignments=bare), judges))
    left = iter(work)
    running: dict[Any, Work] = {}
    while True:
        # The cluster may grow and shrink meanwhile, down to nothing: then it is waited for.
        most = max(1, int(AHEAD * ray.cluster_resources().get("CPU", 0)))
        for each in itertools.islice(left, max(0, most - len(running))):
            running[task.remote(sent, each.learner, each.platform_id, list(each.read()))] = each
        if not running:
            return
        (done, *_more), _waiting = ray.wait(list(running))
        each = running.pop(done)
        try:
            results = ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            results = [_lost(each, file.path, error) for _at, file in each.files]
        for (at, _file), result in zip(each.files, results, strict=True):
            keep(at, result)


def _lost(work: Work, path: str, error: Exception) -> Result:
    return Result(work.learner, work.platform_id, path, verdict=not_judged(), failed=words_of(error))


def _graded(
    sent: tuple[str, Plan, dict[str, str]], learner: str, platform_id: str, files: Sequence[Handed]
) -> list[Result]:
    """One learner's results; runs on a worker."""
    version, plan, judges = sent
    if version != VERSION:
        text = _("{machine} has courselib {there}, and this machine has {here}. Install the same version on both.")
        raise CourseError(text.format(machine=socket.gethostname(), there=VERSION, here=version))
    if not plan.is_unsafe:
        try:
            sandbox.require()
        except EngineMissing as error:
            raise EngineMissing(f"{socket.gethostname()}: {error.message}", details=error.details) from error
    known = catalogue.exercises()
    full = {name: replace(each, judge=known[judges[name]]) for name, each in plan.assignments.items()}
    # One place: a worker of Ray has one task at a time, and each is a process of its own.
    return list(graded(replace(plan, assignments=full), learner, platform_id, files, 0, _engines()))


@functools.cache
def _engines() -> Engines:
    """This worker's; they end when it does."""
    return Engines()
