"""Cells that take a while: their author says so, the notebook announces it, and the build compares it with a run.

    ```{code-cell} ipython3
    :takes: 20

A notebook keeps the seconds of its slow cells, coarsely, as they were when the build last ran it. So a slow cell that
is not announced is found without running anything again, and on every machine alike.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from nbformat import NotebookNode

from courselib import machine
from courselib.authoring.problem import Problem
from courselib.i18n import _

if TYPE_CHECKING:
    from courselib.authoring.notebook import Built
    from courselib.authoring.source import Lesson

OPTION, KEPT = "takes", "slow"
SLOW_S = 5
# What an author may say, in seconds. Two runs differ by more than what lies between two steps.
STEPS = (5, 10, 15, 20, 30, 45, 60, 120, 180, 240, 300)
# A neighbour on the same cores makes a cell take twice as long; an announcement that is further off is wrong.
MAX_RATIO = 4
# With more waiting programs on each core than this, a clock says nothing of a cell.
MAX_LOAD = 3


def announcement(seconds: int, translate: Callable[[str], str]) -> str:
    """What stands above a slow cell."""
    minutes = seconds // 60
    duration = translate("{n} minutes").format(n=minutes) if minutes > 1 else translate("{n} s").format(n=seconds)
    text = translate("The next cell takes about {duration}.").format(duration=duration)
    return f"*{text}*\u00a0<sup>{translate('recorded')}: {translate('two cores')}</sup>"


def keep(built: Built, seconds: Mapping[int, float]) -> None:
    """Write down in a notebook which of its cells were slow.

    Args:
        built: its notebook is changed in place.
        seconds: how long each cell took, by its place.
    """
    if _is_crowded():
        return
    slow = {
        built.notebook.cells[index].id: _coarse(took)
        for index, took in seconds.items()
        if took > SLOW_S and built.origins[index]
    }
    if slow:
        built.notebook.metadata.courselib[KEPT] = slow


def take_over(built: Built, old: NotebookNode) -> None:
    """Keep what was written down when the same code ran."""
    if slow := old.metadata.courselib.get(KEPT):
        built.notebook.metadata.courselib[KEPT] = slow


def problems(lesson: Lesson, built: Built) -> Iterator[Problem]:
    """Slow cells that do not say so, and announcements far from what the last run took."""
    slow = built.notebook.metadata.courselib.get(KEPT, {})
    for cell, origin in zip(built.notebook.cells, built.origins, strict=True):
        took = slow.get(cell.id)
        if not origin or origin.kind != "code" or not took:
            continue
        if not origin.takes:
            text = _("this cell took about {took} s when the build ran it; announce that: ':takes: {took}'.")
            yield lesson.problem(text.format(took=took), origin)
        elif not 1 / MAX_RATIO <= took / origin.takes <= MAX_RATIO:
            text = _("this cell took about {took} s when the build ran it, and its option says {said}.")
            yield lesson.problem(text.format(took=took, said=origin.takes), origin)


def _is_crowded() -> bool:
    # Windows knows no load.
    return hasattr(os, "getloadavg") and os.getloadavg()[0] > MAX_LOAD * machine.cores()


def _coarse(seconds: float) -> int:
    return min(STEPS, key=lambda step: abs(step - seconds))
