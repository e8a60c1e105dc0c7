"""A lesson's notebook, without outputs, and the bytes it is written as."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from courselib.authoring import frame, quizzes, timing
from courselib.authoring.project import Project
from courselib.authoring.prose import Translate, render
from courselib.authoring.source import DEFAULT_KERNEL, KERNELS, Cell, Lesson
from courselib.authoring.tags import notebook_tags
from courselib.questions.questions import Question

# Without a version: what runs the notebook is not what built it.
_LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"}
ID_LENGTH = HASH_LENGTH = 16


@dataclass
class Built:
    """A notebook on its way.

    Args:
        notebook: what will be written.
        origins: the lesson's cell that each of its cells was made from; ``None`` where it was generated.
        code: the hash of what its outputs depend on.
        questions: those at the lesson's end.
    """

    notebook: NotebookNode
    origins: list[Cell | None]
    code: str
    questions: tuple[Question, ...] = ()

    def mark_executed(self) -> None:
        """Write down that the outputs are those of this code."""
        self.notebook.metadata.courselib["executed"] = self.code

    def executed_of(self, other: NotebookNode) -> str | None:
        """The hash of the code whose outputs another notebook holds; ``None`` when it was never run by the build."""
        executed: str | None = other.metadata.get("courselib", {}).get("executed")
        return executed


def assemble(
    lesson: Lesson,
    project: Project,
    path: str,
    *,
    language: str,
    variant: str,
    words: Translate,
    neighbours: frame.Neighbours = frame.ALONE,
) -> Built:
    """Make a lesson's notebook.

    Args:
        lesson: already in its variant and language.
        project: where links and installations point to.
        path: the notebook's place from the project's root.
        language: written down in the metadata.
        variant: written down in the metadata.
        words: the pipeline's own words in that language.
        neighbours: the lessons that its last cell links to.

    Returns:
        The notebook without outputs. The set-up cell stands before the first code cell.
    """
    cells = [frame.head_cell(lesson, project, path, words)]
    origins: list[Cell | None] = [None]
    for cell in lesson.cells:
        if cell.kind == "code" and not any(node.cell_type == "code" for node in cells):
            cells.append(frame.setup_cell(project))
            origins.append(None)
        if cell.takes:
            _announce(cells, origins, timing.announcement(cell.takes, words))
        nodes = quizzes.cells(cell, lesson, words) or [_node(cell, words)]
        cells += nodes
        origins += [None if quizzes.is_quiz(node) else cell for node in nodes]
    if foot := frame.foot_cell(neighbours, words):
        cells.append(foot)
        origins.append(None)
    _number(cells)
    about = {"built_from": lesson.path, "language": language, "variant": variant, "minutes": lesson.minutes}
    about |= {"needs": list(lesson.needs), "level": lesson.level}
    if lesson.exercise:
        about |= {"points": lesson.exercise.points, "lesson": lesson.exercise.lesson}
    kernel = {"display_name": KERNELS[lesson.kernel], "language": "python", "name": lesson.kernel}
    metadata = {"kernelspec": kernel, "language_info": _LANGUAGE, "courselib": about}
    notebook = new_notebook(cells=cells, metadata=metadata)
    return Built(notebook, origins, code_hash(lesson), quizzes.of_lesson(lesson, words))


def code_hash(lesson: Lesson) -> str:
    """What a lesson's outputs depend on: its code cells, which of them run, and in which kernel.

    The generated set-up cell is left out, since it names the version: a release does not change what lessons answer.
    """
    code: list[Any] = [[cell.source, sorted(cell.tags)] for cell in lesson.cells if cell.kind == "code"]
    return _hash(json.dumps(code if lesson.kernel == DEFAULT_KERNEL else [lesson.kernel, *code]))


def to_text(notebook: NotebookNode) -> str:
    """The notebook as it is written: sorted keys, checked against nbformat's schema.

    Raises:
        nbformat.ValidationError: it is not a notebook.
    """
    nbformat.validate(notebook)
    return str(nbformat.writes(notebook, indent=1, sort_keys=True, ensure_ascii=False)) + "\n"


def _node(cell: Cell, words: Translate) -> NotebookNode:
    metadata: dict[str, Any] = {}
    if cell.tags:
        metadata["tags"] = notebook_tags(cell.tags)
    if cell.nbgrader:
        metadata["nbgrader"] = dict(cell.nbgrader)
    if "hide-input" in cell.tags:
        metadata["jupyter"] = {"source_hidden": True}
    node: NotebookNode
    if cell.kind == "markdown":
        node = new_markdown_cell(render(cell.source, words), metadata=metadata)
    else:
        node = new_code_cell(cell.source, metadata=metadata)
    return node


def _announce(cells: list[NotebookNode], origins: list[Cell | None], text: str) -> None:
    """Say something directly above the next cell: at the end of the prose there, or in a cell of its own."""
    if cells[-1].cell_type == "markdown":
        cells[-1].source += f"\n\n{text}"
    else:
        cells.append(new_markdown_cell(text))
        origins.append(None)


def _number(cells: list[NotebookNode]) -> None:
    """Give each cell an id made from its text and from how many the same came before it.

    Its place is left out, so that a cell put in between changes no other cell's id.
    """
    seen: Counter[str] = Counter()
    for cell in cells:
        content = f"{cell.cell_type}\n{cell.source}"
        cell.id = _hash(f"{seen[content]}\n{content}")[:ID_LENGTH]
        seen[content] += 1


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]
