"""What a stage is, and the two that every engine has: temperature and greedy.

A stage is one step of an engine's way from logits to a token: a frozen dataclass of its settings. It takes candidates
and gives candidates; ``Pipeline.run`` records what it removed. Those that change single logits are in
``penalties`` and ``dry``, those that only remove tokens in ``truncation``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.sampling.candidates import Candidates


class Stage(ABC):
    """One step of token selection."""

    name: ClassVar[str]
    """As the control it follows is named; ``penalties`` follows three."""

    @property
    @abstractmethod
    def is_on(self) -> bool:
        """Whether its settings make it do anything; an engine skips it otherwise."""

    @abstractmethod
    def split(self, candidates: Candidates) -> tuple[tuple[float, Candidates], ...]:
        """What may come of the candidates, each with its probability; most stages leave nothing to chance."""

    @property
    @abstractmethod
    def setting(self) -> str:
        """The settings in a few words, as ``top_k=40``."""

    @property
    @abstractmethod
    def rule(self) -> str:
        """What it does, in one sentence for a person."""


class CertainStage(Stage):
    """A stage that leaves nothing to chance."""

    @abstractmethod
    def act(self, candidates: Candidates) -> Candidates:
        """The candidates after this stage."""

    def split(self, candidates: Candidates) -> tuple[tuple[float, Candidates], ...]:
        """The one thing that may come of it."""
        return ((1.0, self.act(candidates)),)


def check_number(name: str, value: float, low: float, high: float = np.inf, *, above: bool = False) -> None:
    """Make sure that a setting is a number from ``low`` (or above it) to ``high``.

    Raises:
        SettingsError: it is not; NaN never is.
    """
    if not (low <= value <= high) or (above and value == low):
        text = _("{name} is {value}; give a number above {low:g}, at most {high:g}.") if above else _(
            "{name} is {value}; give a number from {low:g} to {high:g}."
        )  # fmt: skip
        raise SettingsError(text.format(name=name, value=value, low=low, high=high))


@dataclass(frozen=True)
class Temperature(CertainStage):
    """Divides all logits; off at 1. Zero is ``Greedy``.

    Args:
        temperature: above 0.
    """

    temperature: float
    name = "temperature"

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, 0, above=True)

    @property
    def is_on(self) -> bool:
        """Off at 1."""
        return self.temperature != 1

    def act(self, candidates: Candidates) -> Candidates:
        """Divide."""
        with np.errstate(over="ignore"):
            divided = candidates.divided(self.temperature)
        if not np.isfinite(divided.logits).all():
            raise SettingsError(
                _("temperature is {value}, so little that logits overflow; 0 takes the most likely token.").format(
                    value=self.temperature
                )
            )
        return divided

    @property
    def setting(self) -> str:
        """Its value."""
        return f"{self.name}={self.temperature:g}"

    @property
    def rule(self) -> str:
        """What it does."""
        return (
            _("Divides all logits by {value:g}: likely tokens gain.")
            if self.temperature < 1
            else _("Divides all logits by {value:g}: likely tokens lose.")
        ).format(value=self.temperature)


@dataclass(frozen=True)
class Greedy(CertainStage):
    """Keeps the most likely token, of equals the one with the lowest id; engines take any of them."""

    name = "greedy"

    @property
    def is_on(self) -> bool:
        """Always on."""
        return True

    def act(self, candidates: Candidates) -> Candidates:
        """Keep one."""
        return candidates.keep(np.array([np.argmax(candidates.logits)]))

    @property
    def setting(self) -> str:
        """The temperature that stands for it."""
        return "temperature=0"

    @property
    def rule(self) -> str:
        """What it does."""
        return _("Takes the most likely token; nothing is random.")
