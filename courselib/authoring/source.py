"""A lesson's text, read into cells that know their line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from jupytext.myst import myst_to_notebook

from courselib.authoring import timing
from courselib.authoring.problem import Problem, refuse
from courselib.authoring.tags import TAGS
from courselib.errors import LessonError
from courselib.i18n import _

LEVELS = ("beginner", "intermediate", "advanced")
NEEDS = ("llama.cpp", "native", "vllm", "tgi", "gpu", "docker", "download", "prometheus", "haproxy")
# Kernels by name, each with what menus call it.
KERNELS = {"python3": "Python 3 (ipykernel)", "vllm": "vLLM"}
DEFAULT_KERNEL = "python3"
# What lets JupyterLab open the text itself as a notebook; not ours to judge.
IGNORED_FRONT_MATTER = {"jupytext", "kernelspec"}
MAX_MINUTES = 120
EXERCISES = "lessons/exercises"
EXERCISE_KEYS = ("lesson", "points", "importance")
BY_HAND = "by_hand"
MAX_POINTS, MAX_IMPORTANCE = 20, 3
_TAGS_NOT_A_LIST = re.compile(r"^:tags: *(?P<tags>[^\[\s].*)$")


@dataclass(frozen=True)
class Cell:
    """One cell of a lesson.

    Args:
        kind: ``"markdown"`` or ``"code"``.
        source: its text, without the fence.
        line: line of its first line in the file, from 1.
        number: which cell of the lesson, from 1.
        tags: tags of the closed list.
        nbgrader: nbgrader's metadata, empty outside exercises.
        takes: seconds a slow cell takes, one of ``timing.STEPS``; 0 for the others.
    """

    kind: str
    source: str
    line: int
    number: int
    tags: tuple[str, ...] = ()
    nbgrader: Mapping[str, Any] = field(default_factory=dict)
    takes: int = 0


@dataclass(frozen=True)
class Exercise:
    """What the front matter of an exercise has besides a lesson's.

    Args:
        lesson: the lesson it belongs to, by name.
        points: for a full score, 1 to 20.
        importance: 1 (a detail) to 3 (the heart of its lesson).
        by_hand: whether a person gives the points, not the check.
    """

    lesson: str
    points: int
    importance: int
    by_hand: bool = False


@dataclass(frozen=True)
class Lesson:
    """A lesson's front matter and cells.

    Args:
        name: the file's stem, which the notebook has too.
        path: the file's path from the project's root, with slashes.
        title: what it is called.
        minutes: how long it takes, 1 to 120.
        needs: what it needs, of ``NEEDS``; empty when Python packages are enough.
        level: one of ``LEVELS``.
        kernel: name of the kernel it runs in, one of ``KERNELS``.
        cells: the cells, in order.
        exercise: what only an exercise has; ``None`` for a lesson.
    """

    name: str
    path: str
    title: str
    minutes: int
    needs: tuple[str, ...]
    level: str
    kernel: str
    cells: tuple[Cell, ...]
    exercise: Exercise | None = None

    def problem(self, text: str, cell: Cell | None = None, offset: int = 0) -> Problem:
        """A problem ``offset`` lines below the start of ``cell``, or of the lesson as a whole."""
        return Problem(self.path, cell.line + offset if cell else 1, cell.number if cell else 0, text)


def read_lesson(root: Path, path: Path) -> Lesson:
    """Read a lesson.

    Args:
        root: the project's folder.
        path: the lesson's file, below ``root``.

    Raises:
        LessonError: the text is not UTF-8, not MyST, lacks front matter, or has an unknown tag.
    """
    where = path.relative_to(root).as_posix()
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise LessonError(_("{where}: this is not UTF-8; save it as UTF-8.").format(where=where)) from error
    refuse(_tag_problems(where, text))
    try:
        notebook = myst_to_notebook(text, add_source_map=True)
    except Exception as error:
        # jupytext lets YAML's and nbformat's errors through with its own; the first line of each says it.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LessonError(_("{where}: cannot be read: {reason}").format(where=where, reason=reason)) from error
    starts = notebook.metadata.pop("source_map")
    problems = [*_front_matter_problems(where, notebook.metadata)]
    cells = []
    for number, (raw, start) in enumerate(zip(notebook.cells, starts, strict=True), start=1):
        line = _first_line(text.splitlines(), raw.source.splitlines(), start)
        problems += _cell_problems(where, raw, number, line)
        cells.append(_cell(raw, number, line))
    refuse(problems)
    front = notebook.metadata
    return Lesson(
        name=path.stem,
        path=where,
        title=front.title,
        minutes=front.minutes,
        needs=tuple(front.get("needs") or ()),
        level=front.level,
        kernel=front.get("kernel", DEFAULT_KERNEL),
        cells=tuple(cells),
        exercise=_exercise(front) if is_exercise(where) else None,
    )


def is_exercise(where: str) -> bool:
    """Whether a source, by its path from the project's root, is an exercise."""
    return where.startswith(f"{EXERCISES}/")


def lesson_title(path: Path) -> str:
    """A lesson's title with its number, for links to it; the file's stem where its head cannot be read."""
    head = path.read_text(encoding="utf-8", errors="replace").partition("\n---\n")[0]
    title = re.search(r"^title: *(?P<quote>[\"']?)(?P<text>.+?)(?P=quote) *$", head, re.MULTILINE)
    if not title:
        return path.stem
    number = re.match(r"\d+", path.stem)
    return f"{number[0]} {title['text']}" if number else title["text"]


def _cell(raw: nbformat.NotebookNode, number: int, line: int) -> Cell:
    return Cell(
        raw.cell_type,
        raw.source,
        line,
        number,
        tuple(raw.metadata.get("tags", ())),
        raw.metadata.get("nbgrader") or {},
        raw.metadata.get(timing.OPTION, 0),
    )


def _first_line(lines: list[str], body: list[str], start: int) -> int:
    """Where a cell's text begins: jupytext tells where its fence or the blank lines before it begin."""
    for index in range(start, len(lines)):
        if body and lines[index : index + len(body)] == body:
            return index + 1
    return start + 1


def _tag_problems(where: str, text: str) -> Iterator[Problem]:
    """Tags that are no list, which nbformat would refuse without naming a line."""
    for number, line in enumerate(text.splitlines(), start=1):
        found = _TAGS_NOT_A_LIST.match(line)
        if found:
            yield Problem(where, number, 0, _("tags are a list: ':tags: [{tags}]'.").format(tags=found["tags"]))


def _exercise(front: Mapping[str, Any]) -> Exercise:
    return Exercise(front["lesson"], front["points"], front["importance"], front.get(BY_HAND, False))


def _front_matter_problems(where: str, front: Mapping[str, Any]) -> Iterator[Problem]:
    def wrong(text: str) -> Problem:
        return Problem(where, 1, 0, text)

    known = {"title", "minutes", "needs", "level", "kernel"}
    if is_exercise(where):
        known.update((*EXERCISE_KEYS, BY_HAND))
        if not isinstance(front.get(BY_HAND, False), bool):
            yield wrong(_("by_hand in the front matter of an exercise is true or false."))
        if not isinstance(front.get("lesson"), str):
            yield wrong(_("the front matter of an exercise names its lesson."))
        for key, most in (("points", MAX_POINTS), ("importance", MAX_IMPORTANCE)):
            value = front.get(key)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                text = _("the front matter of an exercise needs {key}, a whole number from 1 to {most}.")
                yield wrong(text.format(key=key, most=most))
    for key in sorted(front.keys() - known - IGNORED_FRONT_MATTER):
        if key != "jupyter":
            yield wrong(
                _("the front matter has an unknown key {key!r}; known are {known}.").format(
                    key=key, known=", ".join(sorted(known))
                )
            )
    if not isinstance(front.get("title"), str) or not front["title"].strip():
        yield wrong(_("the front matter needs a title."))
    minutes = front.get("minutes")
    if not isinstance(minutes, int) or isinstance(minutes, bool) or not 1 <= minutes <= MAX_MINUTES:
        yield wrong(_("the front matter needs minutes, a whole number from 1 to {most}.").format(most=MAX_MINUTES))
    if front.get("level") not in LEVELS:
        yield wrong(_("the front matter needs a level: {levels}.").format(levels=", ".join(LEVELS)))
    needs = front.get("needs", None)
    if not isinstance(needs, list) or any(need not in NEEDS for need in needs):
        yield wrong(_("the front matter needs a list 'needs', empty or of: {needs}.").format(needs=", ".join(NEEDS)))
    kernel = front.get("kernel", DEFAULT_KERNEL)
    if kernel not in KERNELS:
        yield wrong(_("the front matter's kernel is one of: {kernels}.").format(kernels=", ".join(KERNELS)))
    elif kernel != DEFAULT_KERNEL and kernel not in (needs or ()):
        # By its needs the tests know what cannot run on a machine.
        yield wrong(_("a lesson in the kernel {kernel} needs {kernel}; add it to 'needs'.").format(kernel=kernel))


def _cell_problems(where: str, raw: nbformat.NotebookNode, number: int, line: int) -> Iterator[Problem]:
    def wrong(text: str) -> Problem:
        return Problem(where, line, number, text)

    if raw.cell_type == "raw":
        yield wrong(_("raw cells are not allowed; use prose or code."))
    if "{code-cell}" in raw.source:
        yield wrong(_("a code cell begins inside this cell: close the fence before it, and do not indent it."))
    for key in sorted(raw.metadata.keys() - {"tags", "nbgrader", timing.OPTION}):
        yield wrong(_("unknown cell option {key!r}; known are tags, nbgrader and takes.").format(key=key))
    if timing.OPTION in raw.metadata and raw.metadata[timing.OPTION] not in timing.STEPS:
        steps = ", ".join(map(str, timing.STEPS))
        yield wrong(_("':takes:' is about how many seconds a cell takes, one of: {steps}.").format(steps=steps))
    tags = raw.metadata.get("tags", [])
    for tag in tags:
        if tag not in TAGS:
            yield wrong(_("unknown tag {tag!r}; known are {known}.").format(tag=tag, known=", ".join(TAGS)))
    if "golden" in tags and any(tag in TAGS and TAGS[tag].runs is not True for tag in tags):
        yield wrong(_("a cell that is not run everywhere cannot be golden; take one of its tags away."))
