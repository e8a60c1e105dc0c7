"""A text with what it says again marked and linked to its first place, and its loops as rings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import anywidget
import traitlets

from courselib.answers.text import spans
from courselib.i18n import _
from courselib.panels.base import escape
from courselib.panels.view import STATIC, script
from courselib.sampling.text_repetition import Loop
from courselib.sampling.text_spans import Repeat, repeated_spans

LEAST = 4
RING_PX = 84


class MarkedText(anywidget.AnyWidget):
    """A text in parts, each token of which can be chosen; one that was said before leads to where it was said first.

    Args:
        on_pick: called with the number of a token that was chosen, by a click or Enter.
        name: what the text is, for those who do not see it.

    Traits:
        parts: as ``marked`` makes them.
        picked: the number of the token that was chosen last; -1 for none.
        busy: whether what was chosen is being worked on.
    """

    _esm = script("marked_text.js")
    _css = STATIC / "marked_text.css"
    parts: Any = traitlets.List().tag(sync=True)
    picked = traitlets.Int(-1).tag(sync=True)
    busy = traitlets.Bool(False).tag(sync=True)
    labels = traitlets.Dict().tag(sync=True)

    def __init__(self, on_pick: Callable[[int], None], *, name: str) -> None:
        super().__init__(
            labels={
                "name": name,
                "empty": _("The answer appears here."),
                "nothing": _("a token without text"),
                "pick": _("Take this token apart"),
                "first": _("mark {n}: repeated later"),
                "again": _("repeated: go to its first place, mark {n}"),
            }
        )
        self._on_pick = on_pick
        self.on_msg(self._heard)

    def _heard(self, _widget: object, content: dict[str, Any], _buffers: object) -> None:
        if content.get("kind") == "pick":
            self._on_pick(int(content["at"]))

    def __repr__(self) -> str:
        return "MarkedText()"


def marked(tokens: Sequence[bytes], *, least: int = LEAST) -> list[dict[str, Any]]:
    """The text in parts: each that was said before has the number, and the place, of where it was said first.

    Args:
        tokens: their bytes.
        least: tokens that a repetition must have to be marked.

    Returns:
        For each part its ``words`` (runs of whole characters, each with the number of its first token), ``kind``
        (``"again"``, ``"first"`` or ``""``), ``number`` of the mark, and for ``"again"`` the token that ``first`` said
        what it begins with.
    """
    repeats = repeated_spans(tokens, least=least)
    again: dict[int, Repeat] = {}
    for repeat in repeats:
        for place in range(repeat.start, repeat.start + repeat.length):
            again.setdefault(place, repeat)
    numbers = {first: number for number, first in enumerate(sorted({repeat.first for repeat in repeats}), 1)}
    first_places = {
        place: numbers[repeat.first]
        for repeat in reversed(repeats)
        for place in range(repeat.first, min(repeat.first + repeat.length, repeat.start))
        if place not in again
    }
    parts: list[dict[str, Any]] = []
    before: tuple[str, int, int] | None = None
    for span in spans(tokens):
        repeat_here = again.get(span.first)
        if repeat_here:
            # Repetitions that follow each other at once are links of their own, though the mark may be the same.
            mark = ("again", numbers[repeat_here.first], repeat_here.start)
        elif span.first in first_places:
            mark = ("first", first_places[span.first], 0)
        else:
            mark = ("", 0, 0)
        if mark != before:
            kind, number, _start = before = mark
            first = repeat_here.first + span.first - repeat_here.start if repeat_here else None
            parts.append({"words": [], "kind": kind, "number": number, "first": first})
        parts[-1]["words"].append([span.text, span.first])
    return parts


def rings(tokens: Sequence[bytes], loops: Sequence[Loop]) -> str:
    """Each loop as a ring with a piece for each token of a round, and what it says."""
    if not loops:
        return ""
    figures = []
    for loop in loops:
        one_round = b"".join(tokens[loop.onset : loop.onset + loop.period]).decode("utf-8", "replace")
        figures.append(
            f"<figure>{_ring(loop)}<figcaption>{escape(loop_words(loop))}<br>“{escape(one_round)}”</figcaption></figure>"
        )
    return f"<div class='cl-rings'>{''.join(figures)}</div>"


def loop_words(loop: Loop) -> str:
    """A loop in words."""
    return _("a loop from token {onset} on: {period} tokens, {rounds:.1f} rounds").format(
        onset=loop.onset, period=loop.period, rounds=loop.rounds
    )


def _ring(loop: Loop) -> str:
    middle, radius = RING_PX / 2, RING_PX / 2 - 8
    around = 2 * math.pi * radius
    piece = around / loop.period
    gap = min(3.0, piece / 4) if loop.period > 1 else 0.0
    return (
        f"<svg width='{RING_PX}' height='{RING_PX}' role='img' aria-label='{escape(loop_words(loop))}'>"
        f"<circle cx='{middle}' cy='{middle}' r='{radius}' fill='none' stroke='#d55e00' stroke-width='7'"
        f" stroke-dasharray='{piece - gap:.2f} {gap:.2f}' transform='rotate(-90 {middle} {middle})'/>"
        f"<text x='50%' y='50%' text-anchor='middle' dominant-baseline='central' fill='currentColor' font-size='15'>"
        f"{loop.rounds:.1f}×</text></svg>"
    )
