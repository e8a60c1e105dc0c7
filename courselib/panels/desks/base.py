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

WIDE = {"description_width": "130px"}
# For settings that take more letters.
WIDER = {"description_width": "180px"}


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


def model_field(settings: Any, style: Mapping[str, str] = WIDE) -> widgets.Combobox:
    """Where a model is named: one of the catalogue, or whatever else the engine takes."""
    options = [model.name for model in CATALOGUE]
    return widgets.Combobox(options=options, value=settings.model, ensure_option=False, **common("model", style))


def choice(
    settings: Any, name: str, options: Sequence[Any], style: Mapping[str, str] = WIDE, *, unset: str = ""
) -> widgets.Dropdown:
    """A list; what the settings hold is in it. ``unset`` is what None is called, where that can be chosen."""
    value = getattr(settings, name)
    known = [option[1] if isinstance(option, tuple) else option for option in options]
    options = [*([(unset, None)] if unset else []), *options]
    if value not in known and not (unset and value is None):
        options = [*options, value]
    return widgets.Dropdown(options=options, value=value, **common(name, style))


def slider(settings: Any, name: str, low: int, high: int, *, unset: int = 0) -> widgets.IntSlider:
    """A whole number; ``unset`` stands where the settings hold none."""
    value = getattr(settings, name)
    value = unset if value is None else value
    return widgets.IntSlider(value=value, min=low, max=max(high, value), **common(name, WIDE))


def check(settings: Any, name: str, style: Mapping[str, str] = WIDE) -> widgets.Checkbox:
    """Yes or no."""
    return widgets.Checkbox(value=getattr(settings, name), indent=True, **common(name, style))


def common(name: str, style: Mapping[str, str]) -> dict[str, Any]:
    """What all fields of a desk have."""
    return {"description": name, "style": dict(style), "layout": widgets.Layout(width="300px")}


def key_note(variable: str) -> str:
    """How a server started by hand gets a key."""
    return _("Put {variable}=… in front of the command to make clients send that key.").format(variable=variable)
