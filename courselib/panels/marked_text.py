"""A text with what it says again marked, and its loops as rings: HTML from tokens, no widget."""

from __future__ import annotations

import math
from collections.abc import Sequence

from courselib.i18n import _
from courselib.panels.base import escape
from courselib.sampling.text_repetition import Loop
from courselib.sampling.text_spans import Repeat, repeated_spans
from courselib.text import spans

LEAST = 4
RING_PX = 84
# Okabe and Ito's orange and blue with little opacity: legible under black and under white text.
STYLE = """<style>
.cl-said { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.7; max-height: 22em; overflow: auto; }
.cl-said .cl-first { border-bottom: 2px dotted #0072b2; }
.cl-said .cl-again { background: rgba(213, 94, 0, .22); border-radius: 3px; }
.cl-said sub { font-size: .7em; opacity: .8; }
.cl-rings { display: flex; flex-wrap: wrap; gap: 4px 16px; align-items: center; }
.cl-rings svg { flex: none; }
.cl-rings figure { display: flex; gap: 8px; align-items: center; margin: 4px 0; max-width: 100%; }
.cl-rings figcaption { overflow-wrap: anywhere; }
</style>"""


def marked(tokens: Sequence[bytes], *, least: int = LEAST) -> str:
    """The text as HTML: each part that was said before has the number of the place where it was said first.

    Args:
        tokens: their bytes.
        least: tokens that a repetition must have to be marked.
    """
    repeats = repeated_spans(tokens, least=least)
    again: dict[int, Repeat] = {}
    for repeat in repeats:
        for place in range(repeat.start, repeat.start + repeat.length):
            again.setdefault(place, repeat)
    firsts = sorted({repeat.first for repeat in repeats})
    numbers = {first: number for number, first in enumerate(firsts, 1)}
    first_places = {
        place: numbers[repeat.first]
        for repeat in reversed(repeats)
        for place in range(repeat.first, min(repeat.first + repeat.length, repeat.start))
        if place not in again
    }
    parts: list[str] = []
    before: tuple[str, int] = ("", 0)
    for span in spans(tokens):
        if span.first in again:
            kind = ("cl-again", numbers[again[span.first].first])
        elif span.first in first_places:
            kind = ("cl-first", first_places[span.first])
        else:
            kind = ("", 0)
        if kind != before:
            parts.append(_close(before) + _open(kind))
            before = kind
        parts.append(escape(span.text))
    return f"{STYLE}<div class='cl-said' tabindex='0'>{''.join(parts)}{_close(before)}</div>"


def _open(kind: tuple[str, int]) -> str:
    css, number = kind
    if not css:
        return ""
    words = _("said before, first at mark {n}") if css == "cl-again" else _("mark {n}: said again later")
    return f"<span class='{css}' title='{escape(words.format(n=number))}'>"


def _close(kind: tuple[str, int]) -> str:
    return f"<sub>{kind[1]}</sub></span>" if kind[0] else ""


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
