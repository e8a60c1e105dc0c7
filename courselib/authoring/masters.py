"""Exercises as the master notebooks that nbgrader and Otter make their assignments of.

A master is an exercise's source with its answer still marked, without what only a solution has and without the links
to this project's own copies. nbgrader knows our markers and metadata, and takes the value of a check for points, so its
copy prints it. Otter has markers of its own, raw cells around a question, and compares what a test puts out, so there a
right answer puts out nothing.

Sources: nbgrader's ``nbgrader/utils.py`` (0.9.6), ``determine_grade``, and Otter's ``otter/assign`` (7.0.0).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_raw_cell

from courselib.authoring.exercise_cells import graded
from courselib.authoring.notebook import assemble, number, to_text
from courselib.authoring.project import read_project
from courselib.authoring.source import EXERCISES, Lesson, read_lesson
from courselib.authoring.translation import panel_words
from courselib.authoring.variants import ANSWER_TAGS, stub, vary
from courselib.errors import LessonError
from courselib.i18n import _

_OTTER_MARKERS = {"### BEGIN SOLUTION": "# BEGIN SOLUTION NO PROMPT", "### END SOLUTION": "# END SOLUTION"}


def write(root: Path, folder: Path, grader: str) -> list[Path]:
    """Write a master for each exercise.

    Args:
        root: the project's folder.
        folder: for nbgrader a course's folder, with an assignment a lesson below ``source``; for Otter any folder.
        grader: a key of ``GRADERS``.

    Returns:
        The masters.

    Raises:
        LessonError: there are no exercises, one of them cannot be read, or another notebook is where a master belongs.
    """
    lessons = [read_lesson(root, path) for path in sorted((root / EXERCISES).glob("*.md"))]
    if not lessons:
        raise LessonError(_("There are no exercises in {root}; export in a clone of the course.").format(root=root))
    texts = {_place(folder, grader, lesson): to_text(master(root, lesson, grader)) for lesson in lessons}
    for path, text in texts.items():
        if path.exists() and path.read_text(encoding="utf-8") != text:
            words = _("{path} is another notebook; move it away, or export to another folder.")
            raise LessonError(words.format(path=path))
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return list(texts)


def master(root: Path, lesson: Lesson, grader: str) -> NotebookNode:
    """One exercise's master notebook, without outputs.

    Raises:
        LessonError: its markers are not as they must be.
    """
    vary(lesson, "exercise")  # refuses markers that are not as they must be
    shown = replace(lesson, cells=tuple(cell for cell in lesson.cells if not ANSWER_TAGS.intersection(cell.tags)))
    built = assemble(graded(shown), read_project(root), "", language="en", variant="master", words=panel_words("en"))
    notebook = built.notebook
    # The first cell links to this project's copies, in which no instructor would find the answers.
    notebook.cells = list(GRADERS[grader](lesson, notebook.cells[1:]))
    number(notebook.cells)
    return notebook


def _place(folder: Path, grader: str, lesson: Lesson) -> Path:
    if grader == "nbgrader" and lesson.exercise:
        folder = folder / "source" / lesson.exercise.lesson
    return folder / f"{lesson.name}.ipynb"


def _for_nbgrader(_lesson: Lesson, cells: list[NotebookNode]) -> Iterator[NotebookNode]:
    for cell in cells:
        if cell.metadata.get("nbgrader", {}).get("locked"):
            cell.source = f"print({cell.source})"
        yield cell


def _for_otter(lesson: Lesson, cells: list[NotebookNode]) -> Iterator[NotebookNode]:
    """The answer and its check as one question; cells between the two, such as hints and helpers, stay in it."""
    if lesson.exercise is None:
        return
    by_hand = lesson.exercise.by_hand
    yield _raw("ASSIGNMENT CONFIG", "export_cell: false")
    for cell in cells:
        mark = cell.metadata.pop("nbgrader", None)
        if mark is None:
            yield cell
        elif mark["solution"]:
            answer = new_code_cell(_otter_markers(lesson, cell.source))
            about = (f"name: q{lesson.name}", f"points: {lesson.exercise.points}", f"manual: {str(by_hand).lower()}")
            yield _raw("BEGIN QUESTION", *about)
            yield from (_raw("BEGIN SOLUTION"), answer, _raw("END SOLUTION"))
        elif not by_hand:
            quiet = new_code_cell(f"assert {cell.source}")
            yield from (_raw("BEGIN TESTS"), quiet, _raw("END TESTS"), _raw("END QUESTION"))
        else:
            yield from (_raw("END QUESTION"), cell)


def _otter_markers(lesson: Lesson, source: str) -> str:
    """A marked answer with Otter's markers, and the line that stands in a learner's copy as its prompt."""
    lines: list[str] = []
    for line in source.split("\n"):
        words = line.strip()
        indent = line[: len(line) - len(line.lstrip())]
        lines.append(indent + _OTTER_MARKERS[words] if words in _OTTER_MARKERS else line)
        if words == "### END SOLUTION":
            lines += [f'{indent}""" # BEGIN PROMPT', indent + stub(lesson.name), f'{indent}""" # END PROMPT']
    return "\n".join(lines)


def _raw(marker: str, *options: str) -> NotebookNode:
    cell: NotebookNode = new_raw_cell("\n".join([f"# {marker}", *options]))
    return cell


GRADERS: dict[str, Callable[[Lesson, list[NotebookNode]], Iterator[NotebookNode]]] = {
    "nbgrader": _for_nbgrader,
    "otter": _for_otter,
}
