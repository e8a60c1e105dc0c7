"""What the desk asks of each engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import ipywidgets as widgets

from courselib.engines.base import Engine
from courselib.i18n import _
from courselib.models import CATALOGUE

# How wide a field is, and its name's share of that.
WIDE = ("300px", "130px")
# For settings that take more letters.
WIDER = ("390px", "180px")
# Stands in a list for None, which ipywidgets takes for nothing chosen.
UNSET = ""


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
    """One engine, as the desk sees it. Instances hold no state."""

    engine: ClassVar[Engine]
    style: ClassVar[tuple[str, str]] = WIDE
    # Settings that nothing honours without a GPU.
    gpu_only: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def fields(self, settings: Any) -> dict[str, widgets.Widget]:
        """One control for each setting taught, under the setting's own name, holding what ``settings`` does."""

    @abstractmethod
    def preview(self, values: Mapping[str, Any]) -> Preview:
        """What is known of the settings that the fields hold; starts and downloads nothing.

        Raises:
            CourseError: the engine could not be started with them, or is not on this machine.
        """


def model_field(settings: Any, style: tuple[str, str] = WIDE) -> widgets.Combobox:
    """Where a model is named: one of the catalogue, or whatever else the engine takes."""
    options = [model.name for model in CATALOGUE]
    return widgets.Combobox(options=options, value=settings.model, ensure_option=False, **common("model", style))


def choice(
    settings: Any, name: str, options: Sequence[Any], style: tuple[str, str] = WIDE, *, unset: str = ""
) -> widgets.Dropdown:
    """A list; what the settings hold is in it. ``unset`` is what None is called, where that can be chosen."""
    value = getattr(settings, name)
    pairs = [option if isinstance(option, tuple) else (str(option), option) for option in options]
    if value is None:
        value = UNSET
    elif value not in [known for _label, known in pairs]:
        pairs.append((str(value), value))
    return widgets.Dropdown(options=[*([(unset, UNSET)] if unset else []), *pairs], value=value, **common(name, style))


def slider(settings: Any, name: str, low: int, high: int, *, unset: int = 0) -> widgets.IntSlider:
    """A whole number; ``unset`` stands where the settings hold none."""
    value = getattr(settings, name)
    value = unset if value is None else value
    return widgets.IntSlider(value=value, min=low, max=max(high, value), **common(name, WIDE))


def check(settings: Any, name: str, style: tuple[str, str] = WIDE) -> widgets.Checkbox:
    """Yes or no."""
    return widgets.Checkbox(value=getattr(settings, name), indent=True, **common(name, style))


def common(name: str, style: tuple[str, str]) -> dict[str, Any]:
    """What all fields of a desk have."""
    width, described = style
    return {"description": name, "style": {"description_width": described}, "layout": widgets.Layout(width=width)}


def chosen(field: widgets.Widget) -> Any:
    """What a field holds, as a setting."""
    return None if field.value == UNSET and isinstance(field, widgets.Dropdown) else field.value


def key_note(variable: str) -> str:
    """How a server started by hand gets a key."""
    return _("Put {variable}=… in front of the command to make clients send that key.").format(variable=variable)
