"""A form for ``Controls``: a row for each, made from the catalogue, with what becomes of it on the route at hand."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import groupby
from typing import Any

import anywidget
import traitlets

from courselib.controls.catalogue import CONTROLS
from courselib.controls.control import Control
from courselib.controls.controls import Controls
from courselib.controls.route import LOST, WORTH_A_WORD, Line, Plan
from courselib.i18n import _
from courselib.panels.view import STATIC, script

# A slider with more stops than this cannot be put on one of them.
MOST_STOPS = 2000
ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class ControlsForm(anywidget.AnyWidget):
    """All controls, folded in groups. One that is not set shows what the engine goes by instead, and is not sent.

    One widget for all: a slider, a box and two lines of text each, of ipywidgets, would be two hundred models a form.

    Traits:
        entries: what the rows hold that are set, by control: a number, yes or no, or a text.
        report: what becomes of each control, by control; see ``show``.
        opened: whether the first group is open at first.

    Args:
        controls: what the rows hold at first.
        opened: whether the first group is open at first.
        groups: which groups of the catalogue have rows; all if there is no choice. Controls of the others, where they
            are set, are kept.
    """

    _esm = script("controls_form.js", "ids.js")
    _css = STATIC / "controls_form.css"
    groups: traitlets.List[Any] = traitlets.List().tag(sync=True)
    entries = traitlets.Dict().tag(sync=True)
    report = traitlets.Dict().tag(sync=True)
    opened = traitlets.Bool().tag(sync=True)
    labels = traitlets.Dict().tag(sync=True)

    def __init__(self, controls: Controls, *, opened: bool = True, groups: Collection[str] | None = None) -> None:
        labels = {"unset": _("not sent"), "yes": _("yes"), "no": _("no"), "send": _("send {name}")}
        super().__init__(groups=_groups(groups), labels=labels, opened=opened)
        self.controls = controls

    @property
    def controls(self) -> Controls:
        """What the form holds; may be assigned.

        Raises:
            SettingsError: a row holds what is no value of its control.
        """
        return Controls(**{name: read(CONTROLS[name], entry) for name, entry in self.entries.items()})

    @controls.setter
    def controls(self, controls: Controls) -> None:
        self.entries = {name: written(value) for name, value in controls.given().items()}

    def show(self, plan: Plan) -> None:
        """Say at each control what becomes of it."""
        self.report = {line.control: _told(line) for line in plan.report}

    def __repr__(self) -> str:
        return "ControlsForm()"


def written(value: Any) -> Any:
    """A control's value as its row holds it: texts one a line, biases as ``id: bias``."""
    if isinstance(value, tuple):
        return "\n".join(re.sub(r"[\\\n\r\t]", lambda found: ESCAPES[found[0]], text) for text in value)
    if isinstance(value, dict):
        return "\n".join(f"{token}: {bias:g}" if bias == float(f"{bias:g}") else f"{token}: {bias!r}"
                         for token, bias in value.items())  # fmt: skip
    return value


def read(control: Control, entry: Any) -> Any:
    """What a row holds as the value of its control; ``Controls`` checks it."""
    if control.kind is tuple:
        return lines_of(entry)
    if control.kind is dict:
        pairs = (line.partition(":") for line in filter(str.strip, entry.split("\n")))
        return {token.strip(): bias.strip() for token, _colon, bias in pairs}
    return entry


def lines_of(entry: str) -> tuple[str, ...]:
    """The texts of a box that holds one a line, its escapes undone; empty lines do not count."""
    signs = {escape: sign for sign, escape in ESCAPES.items()}
    lines = filter(None, entry.split("\n"))
    return tuple(re.sub(r"\\.", lambda found: signs.get(found[0], found[0]), line) for line in lines)


def _groups(chosen: Collection[str] | None) -> list[dict[str, Any]]:
    return [
        {"title": _(group), "rows": [_row(control) for control in members]}
        for group, members in groupby(CONTROLS.values(), lambda control: control.group)
        if chosen is None or group in chosen
    ]


def _row(control: Control) -> dict[str, Any]:
    """What the page must know of a control to draw its row."""
    row: dict[str, Any] = {
        "name": control.name,
        "help": _(control.sentence),
        "takes": f"{_(control.unit)}: {control.interval}" if control.unit else control.interval,
        "kind": {bool: "flag", tuple: "text", dict: "text"}.get(control.kind, "number"),
    }
    if row["kind"] == "number":
        low, high = control.shown
        row |= {"low": low, "high": high, "step": control.step, "slider": (high - low) / control.step <= MOST_STOPS}
        row["off"] = low if control.off is None else control.off
    elif control.kind is tuple:
        row["hint"] = _("one text a line; \\n stands for a new line")
    elif control.kind is dict:
        row["hint"] = _("one token a line, as 28: -5")
    return row


def _told(line: Line) -> dict[str, Any]:
    """A line of the report as the page shows it."""
    applies = line.applies
    return {
        "word": _(line.verdict.value),
        "text": line.text,
        "kind": "lost" if line.verdict in LOST else "care" if line.verdict in WORTH_A_WORD else "",
        "applies": applies if isinstance(applies, int | float) and not isinstance(applies, bool) else None,
    }
