"""What an experiment asked, as a record that never changes, and the results kept under it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from courselib.controls.controls import Controls

# Of an experiment, so many results are kept: those of the settings last looked at.
MOST_KEPT = 32


@dataclass(frozen=True)
class Asked:
    """Everything that a result depends on: the server, the controls, and the panel's own inputs, by name.

    Two that are equal have the same result, but for what is random in it. The inputs are attributes too:
    ``asked.prompt``.

    Args:
        server: the server's number (``server_facts.number_of``); 0 where there is none.
        values: the inputs.
        controls: what the form holds; ``None`` for a panel without one.
        model: the server's model, for people; of no account when two are compared.
    """

    server: int
    values: tuple[tuple[str, Any], ...]
    controls: Controls | None = None
    model: str = field(default="", compare=False)

    def __getattr__(self, name: str) -> Any:
        for known, value in self.__dict__.get("values", ()):
            if known == name:
                return value
        raise AttributeError(f"nothing of the name {name!r} was asked")

    def changed_in(self, other: Asked) -> list[str]:
        """The names of what differs in another one's inputs and controls."""
        names = [name for name, value in self.values if dict(other.values).get(name) != value]
        if self.controls != other.controls:
            ours, theirs = (each.given() if each else {} for each in (self.controls, other.controls))
            names += sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
        return names


class Kept:
    """Results, each under what was asked for it; the oldest are let go. Read and written from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: OrderedDict[Asked, Any] = OrderedDict()

    def put(self, asked: Asked, result: Any) -> None:
        """Keep a result, which nobody changes any more."""
        with self._lock:
            self._results[asked] = result
            self._results.move_to_end(asked)
            while len(self._results) > MOST_KEPT:
                self._results.popitem(last=False)

    def get(self, asked: Asked) -> Any:
        """The result of just that, or ``None``."""
        with self._lock:
            return self._results.get(asked)

    def first(self, true: Callable[[Asked], bool]) -> Any:
        """A result of which something is true, or ``None``."""
        with self._lock:
            return next((result for asked, result in self._results.items() if true(asked)), None)

    def latest(self) -> tuple[Asked, Any] | None:
        """The result that came last, and what was asked for it."""
        with self._lock:
            return next(reversed(self._results.items()), None)
