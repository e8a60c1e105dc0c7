"""For each exercise: wrong answers, each with the words its message must have, and a right one written otherwise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Case:
    """How learners may answer one exercise."""

    right: Callable[..., Any]
    wrong: tuple[tuple[Callable[..., Any], str], ...]
