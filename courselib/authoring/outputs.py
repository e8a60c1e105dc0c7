"""A notebook's outputs: made the same on every machine, or taken over from the notebook before."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from courselib.authoring import timing
from courselib.authoring.execution import runs_here
from courselib.authoring.notebook import Built
from courselib.authoring.quizzes import is_quiz

_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")
_CELL_FILE = re.compile(r"ipykernel_\d+[/\\]\d+\.py")
# Where a path begins and ends; it may follow a terminal's colour.
_BEFORE, _AFTER = r"(?:(?<![\w.-])|(?<=\dm))", r"(?![\w.-])"
# A view saved without its state makes JupyterLab show "Error displaying widget: model not found" in place of the text
# beside it; GitHub, Colab and nbval take that text anyway. State itself is megabytes and of no use without a kernel.
_VIEW = "application/vnd.jupyter.widget-view+json"


def private_paths(root: Path) -> list[tuple[str, str]]:
    """This machine's paths, the longest first, and what is written in their place."""
    paths = {
        tempfile.gettempdir(): "$TMPDIR",
        sys.prefix: "$VIRTUAL_ENV",
        # Unlike Path.home, it leaves an unknown home as it is.
        os.path.expanduser("~"): "~",  # noqa: PTH111
        str(root.resolve()): "~/courselib",
    }
    return sorted(paths.items(), key=lambda pair: -len(pair[0]))


def clean(notebook: NotebookNode, paths: list[tuple[str, str]]) -> list[int]:
    """Take out of an executed notebook what differs from run to run without meaning anything.

    Args:
        notebook: changed in place.
        paths: as ``private_paths`` gives them.

    Returns:
        The cells whose text had to be changed; their outputs cannot be golden.
    """
    notebook.metadata.pop("widgets", None)
    changed = []
    _count(notebook)
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        before = [output for output in map(_without_view, cell.outputs) if not _is_gone(output)]
        cell.outputs = [_scrub(output, paths) for output in before]
        if cell.outputs != before:
            changed.append(index)
    return changed


def take_over(built: Built, old: NotebookNode | None) -> bool:
    """Give a notebook the outputs of the one before, if they came from the same code; returns whether they did."""
    if old is None or built.executed_of(old) != built.code:
        return False
    # The questions have an output of their own, which nothing has run.
    new_cells, old_cells = (
        [cell for cell in each.cells if cell.cell_type == "code" and not is_quiz(cell)]
        for each in (built.notebook, old)
    )
    if len(new_cells) != len(old_cells):
        return False
    for cell, before in zip(new_cells, old_cells, strict=True):
        cell.outputs, cell.execution_count = before.outputs, before.execution_count
    _count(built.notebook)
    built.mark_executed()
    timing.take_over(built, old)
    return True


def _count(notebook: NotebookNode) -> None:
    """Count the code cells that ran 1 to n, and the questions with them, whose output stands for that of a run.

    nbval takes an output in a cell without a number for a mistake.
    """
    count = 0
    for cell in notebook.cells:
        if cell.cell_type == "code" and (cell.execution_count is not None or is_quiz(cell)):
            count += 1
            cell.execution_count = count
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count


def keep_skipped(built: Built, old: NotebookNode | None) -> None:
    """Give the cells that this machine cannot run the outputs that another machine has left for the same code."""
    kept = {cell.id: cell for cell in old.cells if cell.cell_type == "code"} if old else {}
    for cell, origin in zip(built.notebook.cells, built.origins, strict=True):
        if origin and origin.kind == "code" and not runs_here(origin) and cell.id in kept:
            cell.outputs, cell.execution_count = kept[cell.id].outputs, kept[cell.id].execution_count


def says_something(output: NotebookNode) -> bool:
    """Whether there is any text in an output that could be compared."""
    texts = [output.get("text", ""), output.get("evalue", ""), *output.get("data", {}).values()]
    return any(str(text).strip() for text in texts)


def _without_view(output: NotebookNode) -> NotebookNode:
    if "data" in output and len(output.data) > 1:
        output.data.pop(_VIEW, None)
    return output


def _is_gone(output: NotebookNode) -> bool:
    """Whether it is what a widget leaves that closed itself, as a progress bar does: an empty line."""
    return output.output_type == "display_data" and not says_something(output)


def _scrub(value: Any, paths: list[tuple[str, str]]) -> Any:
    if isinstance(value, dict):
        return NotebookNode({key: _scrub(each, paths) for key, each in value.items()})
    if isinstance(value, list):
        return [_scrub(each, paths) for each in value]
    if not isinstance(value, str):
        return value
    for path, name in paths:
        value = re.sub(_BEFORE + re.escape(path) + _AFTER, name.replace("\\", r"\\"), value)
    return _CELL_FILE.sub("ipykernel/cell.py", _ADDRESS.sub("at 0x…", value))
