"""Curves as SVG: a few kB of text, the same in a live panel and in a saved notebook, readable in light and dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from courselib.panels.base import escape

# Okabe and Ito's colours, distinguished by the colour-blind (jfly.uni-koeln.de/color, 2008); dashes for whom colour is
# not enough.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
DASHES = ("", "7 4", "2 3", "9 3 2 3", "12 4", "1 4")
WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 10, 46
LEGEND_ROW = 18
# Of the widest fonts that pages give the labels: the last one across must not be cut off.
HALF_LETTER = 4.5
FAINT = "rgba(128,132,136,.35)"


@dataclass(frozen=True)
class Curve:
    """One curve.

    Args:
        name: for the legend.
        points: x and y; a ``None`` as y leaves a gap.
        words: what a point says when pointed at; x and y where there is nothing.
        line, dots: whether points are connected, and whether they are marked.
    """

    name: str
    points: Sequence[tuple[float, float | None]]
    words: Sequence[str] = ()
    line: bool = True
    dots: bool = True


def lines_svg(
    curves: Sequence[Curve],
    *,
    title: str,
    x: str,
    y: str,
    span: tuple[float, float] | None = None,
    log: bool = False,
    round_x: bool = False,
) -> str:
    """Curves over one pair of axes.

    Args:
        curves: at most six.
        title: what the picture shows, read aloud to those who do not see it.
        x: the name of the axis across, with its unit.
        y: the name of the axis up, with its unit.
        span: lowest and highest y; of the points, if not given.
        log: whether y is on a logarithmic scale; points at 0 or below are left out.
        round_x: whether round numbers stand across, however few the points are.
    """
    xs = [px for curve in curves for px, _py in curve.points]
    ys = [py for curve in curves for _px, py in curve.points if py is not None and (py > 0 or not log)]
    across = _scale(_wide(min(xs, default=0), max(xs, default=1)), LEFT, WIDTH - RIGHT)
    low, high = span or (min(ys, default=0.1), max(ys, default=1.0))
    legend = -(-len(curves) // 2) * LEGEND_ROW
    bottom = HEIGHT - BOTTOM
    if log:
        low, high = 10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high))
        steps = [10.0**power for power in _some(round(math.log10(low)), round(math.log10(high)))]
        logarithmic = _scale(_wide(math.log10(low), math.log10(high)), bottom, TOP)
        up: Callable[[float], float] = lambda value: logarithmic(math.log10(value))  # noqa: E731 - beside its twin
    else:
        low, high = _wide(low, high)
        steps = ticks(low, high)
        up = _scale((low, high), bottom, TOP)
    parts = [_grid(steps, up), _across(sorted(set(xs)), across, bottom, round_x=round_x), _names(x, y, bottom)]
    for number, curve in enumerate(curves):
        parts.append(_curve(curve, number, across, up, log))
        parts.append(_entry(curve, number))
    return (
        f"<svg class='cl-lines' viewBox='0 0 {WIDTH} {HEIGHT + legend}' role='img' aria-label='{escape(title)}' "
        f"xmlns='http://www.w3.org/2000/svg' fill='none'>{''.join(parts)}</svg>"
    )


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from ``low`` to ``high``, at most so many: steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _wide(low: float, high: float) -> tuple[float, float]:
    """A span that can be divided by."""
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _some(low: int, high: int, most: int = 7) -> range:
    return range(low, high + 1, max(1, -(-(high - low) // most)))


def _scale(values: tuple[float, float], start: float, end: float) -> Callable[[float], float]:
    low, high = values
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _text(words: str, x: float, y: float, anchor: str = "middle", more: str = "") -> str:
    return f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='currentColor' {more}>{escape(words)}</text>"


def _number(value: float) -> str:
    return f"{value:.0e}" if 0 < abs(value) < 0.001 else f"{value:g}"


def _grid(steps: Sequence[float], up: Callable[[float], float]) -> str:
    return "".join(
        f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{up(step):.1f}' y2='{up(step):.1f}' stroke='{FAINT}'/>"
        + _text(_number(step), LEFT - 6, up(step) + 4, "end")
        for step in steps
    )


def _across(xs: Sequence[float], across: Callable[[float], float], bottom: float, *, round_x: bool) -> str:
    """The x values themselves where they are few, else round numbers."""
    shown = xs if len(xs) <= 8 and not round_x else ticks(xs[0], xs[-1], 8)
    places = ((word := _number(value), min(across(value), WIDTH - HALF_LETTER * len(word))) for value in shown)
    return "".join(_text(word, place, bottom + 16) for word, place in places)


def _names(x: str, y: str, bottom: float) -> str:
    middle = (TOP + bottom) / 2
    turned = f"transform='rotate(-90 14 {middle:.1f})'"
    return _text(x, (LEFT + WIDTH - RIGHT) / 2, bottom + 36) + _text(y, 14, middle, more=turned)


def _curve(curve: Curve, number: int, across: Callable[[float], float], up: Callable[[float], float], log: bool) -> str:
    colour, dash = COLOURS[number], DASHES[number]
    pieces: list[list[str]] = [[]]
    dots = []
    for at, (px, py) in enumerate(curve.points):
        if py is None or (log and py <= 0):
            pieces.append([])
            continue
        place = f"{across(px):.1f},{up(py):.1f}"
        pieces[-1].append(place)
        words = curve.words[at] if curve.words else f"{curve.name}: {_number(px)}, {py:.3g}"
        cx, cy = place.split(",")
        dots.append(f"<circle cx='{cx}' cy='{cy}' r='3.5' fill='{colour}'><title>{escape(words)}</title></circle>")
    drawn = "".join(
        f"<polyline points='{' '.join(piece)}' stroke='{colour}' stroke-width='2' stroke-dasharray='{dash}'/>"
        for piece in pieces
        if len(piece) > 1 and curve.line
    )
    return f"<g class='cl-line'>{drawn}{''.join(dots) if curve.dots else ''}</g>"


def _entry(curve: Curve, number: int) -> str:
    """A line of the legend: two beside each other."""
    left = LEFT + (number % 2) * (WIDTH - LEFT) / 2
    y = HEIGHT + (number // 2) * LEGEND_ROW + 4
    mark = f"<circle cx='{left + 13:.0f}' cy='{y}' r='3.5' fill='{COLOURS[number]}'/>"
    if curve.line:
        mark = (
            f"<line x1='{left:.0f}' x2='{left + 26:.0f}' y1='{y}' y2='{y}' stroke='{COLOURS[number]}' stroke-width='2' "
            f"stroke-dasharray='{DASHES[number]}'/>"
        )
    return mark + _text(curve.name, left + 32, y + 4, "start")
