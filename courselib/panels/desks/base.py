"""What the Deploy panel asks of each engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from courselib.engines.base import AnyEngine
from courselib.engines.settings_help import settings_help
from courselib.i18n import _
from courselib.machine import gpus
from courselib.models import CATALOGUE
from courselib.panels.fields import Choice, Field, Flag, Name, Whole


@dataclass(frozen=True)
class Preview:
    """What is known of settings before anything is started.

    Args:
        command: what one would type in a terminal.
        model: its name for people.
        predicted: sizes as ``Memory`` names them: bytes, and tokens for ``kv_cache_tokens``.
        lost: settings that will not be honoured, each with the reason.
        notes: sentences to go with the command.
    """

    command: str
    model: str
    predicted: Mapping[str, int] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


class EngineDesk(ABC):
    """One engine, as the Deploy panel sees it. Instances hold no state."""

    engine: ClassVar[AnyEngine]
    # Inputs that are always in view; the others are folded.
    first: ClassVar[tuple[str, ...]] = ("model", "context")
    # How wide the longest name is.
    label_width: ClassVar[str] = "110px"
    # Settings that nothing honours without a GPU.
    gpu_only: ClassVar[tuple[str, ...]] = ()

    def has_gpu(self) -> bool:
        """Whether the engine finds a GPU here."""
        return bool(gpus())

    @abstractmethod
    def fields(self, settings: Any) -> dict[str, Field]:
        """An input for each setting taught, under the setting's own name, with what ``settings`` holds."""

    @abstractmethod
    def preview(self, values: Mapping[str, Any]) -> Preview:
        """What is known of the settings that the inputs hold, in some milliseconds; starts and downloads nothing.

        Raises:
            CourseError: the engine could not be started with them, or is not on this machine.
        """

    def check_here(self, values: Mapping[str, Any]) -> None:  # noqa: B027 - most engines need nothing more
        """Make sure that the engine can be started here, as far as that takes longer to find out than a preview may.

        Raises:
            EngineMissing: it cannot.
        """


def model_field(settings: Any) -> Name:
    """Where a model is named: one of the catalogue, or whatever else the engine takes."""
    return Name(settings.model, offered=[model.name for model in CATALOGUE], help=setting_help(settings, "model"))


def choice(settings: Any, name: str, options: Sequence[Any], *, unset: str = "") -> Choice:
    """A list; what the settings hold is in it. ``unset`` is what None is called, where that can be chosen."""
    names = {option[1]: option[0] for option in options if isinstance(option, tuple)}
    values = [option[1] if isinstance(option, tuple) else option for option in options]
    if unset:
        names[None], values = unset, [None, *values]
    value = getattr(settings, name)
    if value not in values:
        values.append(value)
    return Choice(values, default=value, names=names, help=setting_help(settings, name))


def slider(settings: Any, name: str, low: int, high: int, *, unset: int = 0) -> Whole:
    """A whole number; ``unset`` stands where the settings hold none."""
    value = getattr(settings, name)
    value = unset if value is None else value
    return Whole(value, low=low, high=max(high, value), help=setting_help(settings, name))


def check(settings: Any, name: str) -> Flag:
    """Yes or no."""
    return Flag(getattr(settings, name), help=setting_help(settings, name))


def setting_help(settings: Any, name: str) -> str:
    """The sentence on a setting, as the terminal's help has it; without one, its name."""
    return settings_help(type(settings)).get(name, name)


def key_note(variable: str) -> str:
    """How a server started by hand gets a key."""
    return _("Put {variable}=… in front of the command to make clients send that key.").format(variable=variable)
