"""The page the course opens on: its parts, what each lesson takes, what this machine can run, and how far a learner is.

How far is read from the learner's own copies, where a cell that has run has its number in the saved notebook, and from
the learner's answers to the questions (``questions/answers.py``). Nothing else is kept anywhere.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from courselib import machine
from courselib.cli.copies import EXERCISES
from courselib.errors import CourseError
from courselib.front import haproxy
from courselib.i18n import N_, _
from courselib.questions import answers, hints, questions

PAGE = "start.md"
# How a page that came with the course is told from a learner's notes.
_GENERATED = "<!-- Written by `courselib build`"
PARTS = {
    0: N_("Orientation"),
    1: N_("Deploying"),
    2: N_("Controlling generation"),
    3: N_("Memory"),
    4: N_("Speed"),
    5: N_("Production"),
    6: N_("Practice"),
    7: N_("Teaching"),
}


@dataclass(frozen=True)
class LessonCopy:
    """A lesson as it stands in a learner's folder.

    Args:
        file: its name.
        title: with its number.
        part: the tens of its number.
        minutes: how long it takes.
        needs: what it needs, as its front matter has it.
        cells: code cells that are to be run.
        ran: how many of them have been.
        questions: how many questions it ends with.
        answered: how many of them have an answer.
    """

    file: str
    title: str
    part: int
    minutes: int
    needs: tuple[str, ...]
    cells: int
    ran: int
    questions: int = 0
    answered: int = 0

    @property
    def is_done(self) -> bool:
        """Whether all its cells have been run."""
        return self.ran >= self.cells


@dataclass(frozen=True)
class ExerciseCopy:
    """An exercise as it stands in a learner's folder.

    Args:
        file: its name.
        lesson: the lesson to which it belongs.
        points: what its check gives; 0 where a person gives them.
        passed: whether its check has said that the answer is right, or that there is one for a person to grade.
        tried: whether its check has been run.
        hints: how many hints to it were opened.
    """

    file: str
    lesson: str
    points: int
    passed: bool
    tried: bool
    hints: int = 0


def read_copies(folder: Path, kept: Mapping[str, Mapping[str, Sequence[str]]] | None = None) -> list[LessonCopy]:
    """A learner's lessons, in order; files of their own, and what cannot be read, are left out.

    Args:
        folder: the lessons are in it.
        kept: answers, as ``answers.load`` gives them.
    """
    found = (_read_copy(path) for path in sorted(folder.glob("*.ipynb")))
    return [_with_answers(lesson, kept or {}) for lesson in found if lesson]


def _with_answers(lesson: LessonCopy, kept: Mapping[str, Mapping[str, Sequence[str]]]) -> LessonCopy:
    """The lesson with how many of its questions are answered; answers to questions that are no more do not count."""
    name = lesson.file.removesuffix(".ipynb")
    if name not in kept or name not in questions.lessons():
        return lesson
    asked = questions.read(name)
    answered, _first = questions.score(asked, [question.chosen(kept[name]) for question in asked])
    return replace(lesson, questions=len(asked), answered=answered)


def _read_copy(path: Path) -> LessonCopy | None:
    number = re.fullmatch(r"(\d\d)_\w+", path.stem)
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        about = notebook["metadata"]["courselib"]
        text = ["".join(cell["source"]) for cell in notebook["cells"]]
        title = next(line[2:].strip() for source in text for line in source.splitlines() if line.startswith("# "))
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and _is_run(cell)]
        if number is None:
            return None
        ran = sum(bool(cell.get("execution_count")) for cell in code)
        needs = tuple(about["needs"])
        return LessonCopy(
            path.name, f"{number[1]} {title}", int(number[1]) // 10, about["minutes"], needs, len(code), ran
        )
    except (OSError, ValueError, LookupError, TypeError, StopIteration):
        return None


def read_exercises(folder: Path, kept: answers.Kept | None = None) -> list[ExerciseCopy]:
    """A learner's exercises, in order, with their points; what cannot be read is left out.

    Args:
        folder: the exercises are in it.
        kept: the hints that were opened, as ``answers.load`` gives them.
    """
    found = (_read_exercise(path) for path in sorted(folder.glob("*.ipynb")))
    return [replace(each, hints=hints.opened(kept or {}, each.file[4:-6])) for each in found if each]


def _read_exercise(path: Path) -> ExerciseCopy | None:
    if not re.fullmatch(r"\d{3}_\w+", path.stem):
        return None
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        about = notebook["metadata"]["courselib"]
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        marks = [cell["metadata"].get("nbgrader", {}) for cell in code]
        # nbgrader locks what is not the learner's to write: of an exercise's code, its check.
        checks = [cell for cell, mark in zip(code, marks, strict=True) if mark.get("locked")]
        by_hand = any(mark.get("grade") and mark.get("solution") for mark in marks)
        passed = bool(checks) and all(map(_has_passed, checks))
        tried = any(cell.get("execution_count") for cell in checks)
        return ExerciseCopy(path.name, about["lesson"], 0 if by_hand else about["points"], passed, tried)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _has_passed(check: Mapping[str, Any]) -> bool:
    """Whether a check ran to its end: it returns a value where an answer is right, and raises where it is not."""
    kinds = [output["output_type"] for output in check.get("outputs", ())]
    return bool(check.get("execution_count")) and "execute_result" in kinds and "error" not in kinds


def _is_run(cell: Mapping[str, object]) -> bool:
    metadata = cell.get("metadata")
    return "nbval-skip" not in (metadata.get("tags", ()) if isinstance(metadata, dict) else ())


def missing() -> dict[str, str]:
    """What lessons may need and this machine lacks, each with what would bring it."""
    lacks = {}
    if machine.version("llama-cpp-python") is None:
        lacks["native"] = _("llama.cpp as a library: `make native`")
    if not _has_vllm():
        lacks["vllm"] = _("vLLM: `courselib install vllm`")
    if not (shutil.which("prometheus") and shutil.which("promtool")):
        lacks["prometheus"] = _("Prometheus: `sudo apt install prometheus`")
    try:
        haproxy.find()
    except CourseError:
        lacks["haproxy"] = _("HAProxy: `sudo apt install haproxy openssl`")
    return lacks


def _has_vllm() -> bool:
    from courselib.engines.vllm import environment

    try:
        environment.find()
    except CourseError:
        return False
    return True


def read_references(folder: Path) -> list[tuple[str, str]]:
    """The pages to look things up in, each as its title and its file: the glossary, and a cheat sheet an engine."""
    found = [(path, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.md")) if path.name != PAGE]
    titles = [(re.search(r"^# (.+)$", text, re.MULTILINE), path.name) for path, text in found if _GENERATED in text]
    return [(title[1], name) for title, name in titles if title]


def page(
    lessons: list[LessonCopy],
    lacks: Mapping[str, str],
    references: Sequence[tuple[str, str]] = (),
    exercises: Sequence[ExerciseCopy] = (),
) -> str:
    """The page, as Markdown.

    Args:
        lessons: the learner's.
        lacks: as ``missing`` gives it.
        references: as ``read_references`` gives them.
        exercises: the learner's.
    """
    return "\n".join(_lines(lessons, lacks, references, exercises)) + "\n"


def _lines(
    lessons: list[LessonCopy],
    lacks: Mapping[str, str],
    references: Sequence[tuple[str, str]],
    exercises: Sequence[ExerciseCopy],
) -> Iterator[str]:
    yield f"<!-- {_('Written anew each time the course is opened with: courselib lab')} -->"
    yield f"# {_('The course')}\n"
    done = sum(lesson.is_done for lesson in lessons)
    yield _("{done} of {all} lessons done.").format(done=done, all=len(lessons)) + " " + _next(lessons) + "\n"
    yield _("A lesson counts as done when all of its cells have been run and the notebook is saved.") + "\n"
    if exercises:
        yield _exercise_line(exercises) + "\n"
    if references:
        links = " · ".join(f"[{title}]({file})" for title, file in references)
        yield _("To look things up: {links}").format(links=links) + "\n"
    for part in sorted({lesson.part for lesson in lessons}):
        yield f"## {_(PARTS[part])}\n"
        heads = (_("lesson"), _("minutes"), _("your progress"), _("exercises"), _("still needed on this machine"))
        yield f"| {' | '.join(heads)} |"
        yield "|---|---|---|---|---|"
        for lesson in lessons:
            if lesson.part == part:
                own = " ".join(_exercise_link(each) for each in exercises if f"{each.lesson}.ipynb" == lesson.file)
                needs = "; ".join(lacks[need] for need in lesson.needs if need in lacks)
                name = f"[{lesson.title}]({lesson.file})"
                yield f"| {name} | {lesson.minutes} | {_progress(lesson)} | {own} | {needs} |"
        yield ""
    yield _("These are your own copies: change what you like. A copy that you have worked in is never overwritten.")


def _exercise_line(exercises: Sequence[ExerciseCopy]) -> str:
    passed = [each for each in exercises if each.passed]
    counts = _("{done} of {all} exercises done, {points} of {most} points from checks.").format(
        done=len(passed),
        all=len(exercises),
        points=sum(each.points for each in passed),
        most=sum(each.points for each in exercises),
    )
    marks = _("In the table, ✓ is done, and … is tried. To begin one anew: `courselib exercise reset NAME`.")
    return f"{counts} {marks}"


def _exercise_link(exercise: ExerciseCopy) -> str:
    mark = " ✓" if exercise.passed else " …" if exercise.tried else ""
    if exercise.hints:
        mark += " " + _("(hints: {n})").format(n=exercise.hints)
    return f"[{exercise.file[:3]}]({EXERCISES}/{exercise.file}){mark}"


def _next(lessons: list[LessonCopy]) -> str:
    open_ones = [lesson for lesson in lessons if not lesson.is_done]
    if not open_ones:
        return ""
    words = _("Go on with") if any(lesson.ran for lesson in lessons) else _("Begin with")
    return f"**{words} [{open_ones[0].title}]({open_ones[0].file}).**"


def _progress(lesson: LessonCopy) -> str:
    done = _("done") if lesson.is_done else _("{ran} of {cells} cells run").format(ran=lesson.ran, cells=lesson.cells)
    words = [done] if lesson.ran else []
    if lesson.answered:
        text = _("{answered} of {all} questions answered")
        words.append(text.format(answered=lesson.answered, all=lesson.questions))
    return ", ".join(words) or "–"
