"""A notebook run from top to bottom in a kernel of its own."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nbformat import NotebookNode

from courselib import machine
from courselib.authoring.notebook import Built
from courselib.authoring.problem import Problem, refuse
from courselib.authoring.quizzes import is_quiz
from courselib.authoring.source import Cell, Lesson
from courselib.authoring.tags import TAGS
from courselib.i18n import _

# As long as the tests give nbval: vLLM's start takes half a minute, and two on a busy machine.
CELL_TIMEOUT_S = 300
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LAST_LINES = 12
_SKIP = "skip-execution"
BEFORE_THE_FIRST = -1

_GRANTED: dict[str, Callable[[], bool]] = {
    "needs-gpu": lambda: bool(machine.gpus()),
    "needs-docker": lambda: machine.docker() not in ("missing", "not running"),
}


def runs_here(cell: Cell) -> bool:
    """Whether a cell is run on this machine."""
    return all(TAGS[tag].runs or (TAGS[tag].runs is None and _GRANTED[tag]()) for tag in cell.tags)


def execute(built: Built, lesson: Lesson, folder: Path, language: str) -> dict[int, float]:
    """Run a notebook and keep its outputs in it.

    Args:
        built: its notebook is changed in place.
        lesson: what it was built from, to say where an error is.
        folder: where the kernel works; the notebook's own, as in JupyterLab.
        language: of what panels and messages say.

    Returns:
        How many seconds each cell took, by its place in the notebook.

    Raises:
        LessonError: a cell failed, took longer than five minutes, or killed the kernel; or there is no such
            kernel.
    """
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient import NotebookClient
    from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError

    notebook, skipped = built.notebook, _mark_skipped(built)
    language_info = notebook.metadata.language_info
    at = [BEFORE_THE_FIRST]
    began: dict[int, float] = {}
    took: dict[int, float] = {}

    def remember(cell: NotebookNode, cell_index: int) -> None:  # noqa: ARG001 - nbclient names its arguments
        at[0] = cell_index
        began[cell_index] = time.monotonic()

    def measure(cell: NotebookNode, cell_index: int, execute_reply: object) -> None:  # noqa: ARG001
        took[cell_index] = time.monotonic() - began[cell_index]

    def run() -> None:
        NotebookClient(
            notebook,
            timeout=CELL_TIMEOUT_S,
            kernel_name=lesson.kernel,
            skip_cells_with_tag=_SKIP,
            record_timing=False,
            store_widget_state=False,
            # How the kernel cuts a stream into messages is chance.
            coalesce_streams=True,
            on_cell_start=remember,
            on_cell_executed=measure,
            resources={"metadata": {"path": str(folder)}},
        ).execute(env=_kernel_environment(language))

    try:
        try:
            run()
        except RuntimeError:
            if at[0] != BEFORE_THE_FIRST:
                raise
            run()  # another program took one of the ports that were chosen for the kernel
    except (CellExecutionError, CellControlSignal, DeadKernelError, RuntimeError) as error:
        refuse([_failure(built, lesson, at[0], error)])
    except NoSuchKernel:
        text = _("there is no kernel {kernel} on this machine; get it with: courselib install {kernel}")
        refuse([lesson.problem(text.format(kernel=lesson.kernel))])
    finally:
        for cell in skipped:
            cell.metadata.tags.remove(_SKIP)
    # What the kernel says of itself differs between machines.
    notebook.metadata.language_info = language_info
    return took


def _mark_skipped(built: Built) -> list[NotebookNode]:
    skipped = []
    for cell, origin in zip(built.notebook.cells, built.origins, strict=True):
        if is_quiz(cell) or (origin and origin.kind == "code" and not runs_here(origin)):
            cell.metadata.tags.append(_SKIP)
            skipped.append(cell)
    return skipped


def _kernel_environment(language: str) -> dict[str, str]:
    # Sets print in the same order each time, and plotly's figures are plain data.
    fixed = {"PYTHONHASHSEED": "0", "PLOTLY_RENDERER": "plotly_mimetype", "COURSELIB_LANGUAGE": language}
    # `!courselib …` must find the command beside this Python, also where no environment was activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, **fixed, "PATH": path}


def _failure(built: Built, lesson: Lesson, index: int, error: Exception) -> Problem:
    origin = built.origins[max(index, 0)]
    said = _COLOUR.sub("", str(error)).strip().splitlines()[-_LAST_LINES:]
    what = _("running this cell failed:") if origin else _("running the generated set-up cell failed:")
    return lesson.problem("\n    ".join([what, *said]), origin)
