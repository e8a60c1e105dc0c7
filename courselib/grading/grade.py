"""A learner's files to results: the answer is called in confinement, the verdict is given here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from courselib.calls import Outcome, filled
from courselib.errors import CourseError, SettingsError
from courselib.exercises.check import seed_of
from courselib.exercises.judge import Arguments
from courselib.exercises.rigs import KEY
from courselib.exercises.rules import Rules
from courselib.grading import answer, outside
from courselib.grading.answer import Answer, Unreadable
from courselib.grading.assignment import Assignment
from courselib.grading.confined import Confined, Limits, Stopped, Unfinished
from courselib.grading.engines import Engines
from courselib.grading.measures import MEASURES, Measure
from courselib.grading.printable import printable
from courselib.grading.results import Result
from courselib.i18n import _

LEARNER_S = 900.0
PORT = 8000
INSIDE = f"http://127.0.0.1:{PORT}"


@dataclass(frozen=True)
class Handed:
    """One file of a learner, read.

    Args:
        path: in what was handed in.
        file: its name without what the platform put before it.
        data: its bytes.
        problem: why it could not be read, as a sentence; empty where it could.
    """

    path: str
    file: str
    data: bytes
    problem: str = ""


@dataclass
class Grader:
    """Grades files. One at a time; several graders may work side by side, each at a place of its own.

    Args:
        assignments: the course's exercises, by name.
        key: other numbers in the calls for another key.
        models: the folder with the course's models.
        place: a number that no other grader has at the same time.
        limits: what one answer may take.
        is_unsafe: whether learners' code runs with limits only.
    """

    assignments: Mapping[str, Assignment]
    key: str
    models: Path
    place: int = 0
    limits: Limits = field(default_factory=Limits)
    is_unsafe: bool = False
    engines: Engines = field(default_factory=Engines)
    _waited: float = field(default=0.0, init=False)

    def learner(self, learner: str, platform_id: str, files: Iterable[Handed]) -> Iterator[Result]:
        """Results of one learner's files, in their order; each is asked for when it is graded."""
        until = time.monotonic() + LEARNER_S
        for file in files:
            if time.monotonic() - self._waited > until:
                text = _("It was not run: this learner's answers together took more than {n:.0f} minutes.")
                result = Result(learner, platform_id, file.path, verdict=text.format(n=LEARNER_S / 60))
            else:
                result = self._file(learner, platform_id, file)
            yield result

    def _file(self, learner: str, platform_id: str, file: Handed) -> Result:
        who = (learner, platform_id, file.path)
        if file.problem:
            return Result(*who, verdict=file.problem)
        try:
            found = answer.find(file.data, file.file, self.assignments)
        except Unreadable as error:
            return Result(*who, verdict=printable(str(error)))
        except Exception as error:  # noqa: BLE001 - one file must not end the run; it is told to the instructor
            return Result(*who, verdict=not_judged(), failed=words_of(error))
        assignment, failed = found.assignment, ""
        try:
            verdict = self._verdict(found)
        except Exception as error:  # noqa: BLE001 - the same
            verdict, failed = not_judged(), words_of(error)
        points: float | None = 0 if verdict else assignment.points
        if assignment.judge.by_hand and points:
            points = None
        texts = (tuple(map(printable, found.notes)), printable(found.source), failed)
        return Result(*who, assignment.name, points, assignment.points, printable(verdict), *texts)

    def _verdict(self, found: Answer) -> str:
        judge = found.assignment.judge
        calls = judge.calls(seed_of(f"{self.key}\n{found.assignment.name}"))
        try:
            outcomes = self._outcomes(found, calls)
        except Unfinished:
            outcomes = [Outcome(unfinished=True)] * len(calls)
        except Stopped as error:
            return str(error)
        return judge.verdict(calls, outcomes)

    def _outcomes(self, found: Answer, calls: Sequence[Arguments]) -> list[Outcome]:
        judge = found.assignment.judge
        if isinstance(judge, Rules) and judge.records:
            with outside.recorder() as (path, requests), self._confined(found, path) as worker:
                return _recorded(worker, requests, calls)
        measure = MEASURES.get(judge.name)
        if measure is None:
            with self._confined(found) as worker:
                return worker.call(calls)
        arguments = [measure.arguments(*call) for call in calls]
        if measure.engine is None:
            with self._confined(found, function=measure.function) as worker:
                chosen = worker.call(arguments)
            return _measured(measure, chosen, None, calls)
        asked = time.monotonic()
        with self.engines.server(measure.engine) as server:
            # While it started, and while others used it, this learner took no time.
            self._waited += time.monotonic() - asked
            engine = {"url": INSIDE, "key": server.key}
            with (
                outside.relay(server.port) as path,
                self._confined(found, path, function=measure.function, engine=engine) as worker,
            ):
                chosen = worker.call(arguments)
            # The worker has ended, so that none of its own requests is in the way.
            return _measured(measure, chosen, server, calls)

    def _confined(
        self, found: Answer, socket: Path | None = None, *, function: str = "", engine: dict[str, Any] | None = None
    ) -> Confined:
        assignment = found.assignment
        return Confined(
            before=assignment.before,
            own=found.own,
            answer=found.source,
            function=function or assignment.function,
            limits=self.limits,
            place=self.place,
            socket=socket,
            port=PORT,
            engine=engine,
            models=self.models,
            is_unsafe=self.is_unsafe,
        )


def not_judged() -> str:
    """What a learner reads where grading itself failed."""
    return _("It could not be judged. Your instructor sees that, too.")


def words_of(error: Exception) -> str:
    """An error for the instructor."""
    if isinstance(error, CourseError):
        return printable(f"{error}\n{error.details}".strip())
    return printable(f"{type(error).__name__}: {error}")


def _recorded(worker: Confined, server: outside.UnixRecorder, calls: Sequence[Arguments]) -> list[Outcome]:
    """Calls of a function that sends requests: what each returned or raised, and what arrived."""
    done: list[Outcome] = []
    for call in calls:
        server.forget()
        (outcome,) = worker.call([[INSIDE, KEY, *call]])
        if outcome.unfinished or outcome.stopped:
            return filled([*done, outcome], len(calls))
        done.append(Outcome({"returned": outcome.value, "raised": outcome.error, "arrived": list(server.arrived)}))
    return done


def _measured(measure: Measure, chosen: Sequence[Outcome], server: Any, calls: Sequence[Arguments]) -> list[Outcome]:
    """What was measured with the settings that a function returned, up to the first that cannot be."""
    done: list[Outcome] = []
    for outcome, call in zip(chosen, calls, strict=True):
        if not (outcome.unfinished or outcome.stopped or outcome.error):
            try:
                done.append(Outcome(measure.value(outcome.value, server, *call)))
                continue
            except SettingsError as error:
                outcome = Outcome(stopped=str(error)[:500])
            except Exception as error:  # noqa: BLE001 - settings may be anything; what comes of them is told
                outcome = Outcome(error=f"{type(error).__name__}: {error}"[:500])
        return filled([*done, outcome], len(calls))
    return done
