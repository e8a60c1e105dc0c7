"""A learner's function called, and what came of each call, as JSON holds it.

``courselib.check`` calls it in the learner's notebook; a grader has it called in a confined process, which has this
module and none of the judges. So nothing here knows what is right.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What one call gave.

    Args:
        value: as JSON would hold it.
        error: the exception's name and words; empty where there was none.
        unfinished: whether the answer is still the stub.
        stopped: why the call was not let run to its end, as a sentence; empty where it was.
    """

    value: Any = None
    error: str = ""
    unfinished: bool = False
    stopped: str = ""


def outcomes(answer: Callable[..., Any], calls: Sequence[Sequence[Any]]) -> Iterator[Outcome]:
    """Make the calls one after another, up to the first that fails."""
    for call in calls:
        try:
            yield Outcome(plain(answer(*copy.deepcopy(call))))
        except NotImplementedError:
            yield Outcome(unfinished=True)
            return
        except Exception as error:  # noqa: BLE001 - it is the learner's code: whatever it raises is told to them
            yield Outcome(error=f"{type(error).__name__}: {error}")
            return


def filled(done: Sequence[Outcome], calls: int) -> list[Outcome]:
    """The outcomes of so many calls: those that were not made after a failure are given the failure's."""
    return [*done, *[done[-1]] * (calls - len(done))]


def plain(value: Any) -> Any:
    """A value as JSON would hold it: arrays as lists, numpy's numbers as Python's."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value
