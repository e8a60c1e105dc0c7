"""Pictures of a lesson's own numbers: SVG with a twin in text, which a page shows without any script.

A saved notebook keeps both, so that the picture is there before anything has run: on GitHub, on a phone, on paper. Such
a page gives the picture no colours of its own; ink is one that reads on white and on black.
"""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from courselib.panels.base import escape
from courselib.panels.lines import COLOURS, WIDTH, Curve, lines_svg

# The same contrast, 4.5:1, on white and on black.
INK = "#767676"
STYLE = f"<style>text {{ fill: {INK}; font: 13px system-ui, sans-serif; }} .label {{ font-family: monospace; }}</style>"
LABELS, VALUES, ROW = 170, 90, 26
# Of a picture with several columns of bars.
LABEL, VALUE = 90, 62
# Of labels: between them and their bars, the width of a letter, which is about the widest of monospace fonts, a line.
GAP, LETTER, LINE = 10, 7.9, 16


@dataclass(frozen=True)
class Drawing:
    """A picture and the same as text.

    Args:
        svg: the picture.
        text: what a screen reader reads, and a page that shows no pictures.
    """

    svg: str
    text: str

    def _repr_mimebundle_(self, **_options: object) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": self.text}

    def as_table(self) -> str:
        """The picture as text."""
        return self.text


def curves(given: Sequence[Curve], *, title: str, x: str, y: str, log: bool = False) -> Drawing:
    """Curves over one pair of axes.

    Args:
        given: at most six.
        title: what the picture shows.
        x: the name of the axis across, with its unit.
        y: the name of the axis up, with its unit.
        log: whether y is on a logarithmic scale.
    """
    rows = [f"{curve.name}: {px:g} {x}, {py:.4g} {y}" for curve in given for px, py in curve.points if py is not None]
    return Drawing(styled(lines_svg(given, title=title, x=x, y=y, log=log)), "\n".join([title, *rows]))


def bars(rows: Sequence[tuple[str, float]], *, title: str, format: str = "{:.1%}") -> Drawing:
    """Bars, one below the other, each as long as its value.

    Args:
        rows: labels and values, 0 or more.
        title: what the picture shows.
        format: how a value is written.
    """
    most = max((value for _label, value in rows), default=0) or 1
    left, labels = _labels([label for label, _value in rows], LABELS, WIDTH // 2)
    parts, y = [f"<text x='0' y='16'>{escape(title)}</text>"], ROW
    for (_label, value), lines in zip(rows, labels, strict=True):
        length = value / most * (WIDTH - left - VALUES)
        parts.append(
            f"{_label_text(lines, left, y)}"
            f"<rect x='{left}' y='{y + 4}' width='{length:.1f}' height='{ROW - 8}' fill='{COLOURS[0]}'/>"
            f"<text x='{left + length + 8:.1f}' y='{y + 17}'>{escape(format.format(value))}</text>"
        )
        y += _height(lines)
    width = max((len(label) for label, _value in rows), default=0)
    text = [f"{label:<{width}}  {format.format(value)}" for label, value in rows]
    return Drawing(styled(_picture(title, y, parts)), "\n".join([title, *text]))


def bar_columns(
    rows: Sequence[tuple[str, Sequence[float]]], *, title: str, columns: Sequence[tuple[str, str]]
) -> Drawing:
    """Several measures of the same things: a row each, a column of bars for each measure, with a scale of its own.

    Args:
        rows: labels, each with as many values as there are columns, 0 or more.
        title: what the picture shows.
        columns: the names of the measures with their units, and how their values are written. Three or four fit.
    """
    first, labels = _labels([label for label, _values in rows], LABEL, WIDTH // 3)
    wide = (WIDTH - first) / max(len(columns), 1)
    tops = [max((values[at] for _label, values in rows), default=0) or 1 for at in range(len(columns))]
    parts = [f"<text x='0' y='16'>{escape(title)}</text>"]
    for at, (name, _format) in enumerate(columns):
        parts.append(f"<text x='{first + at * wide:.1f}' y='{ROW + 17}'>{escape(name)}</text>")
    y = 2 * ROW
    for (_label, values), lines in zip(rows, labels, strict=True):
        parts.append(_label_text(lines, first, y))
        for at, (value, (_name, format)) in enumerate(zip(values, columns, strict=True)):
            left, length = first + at * wide, value / tops[at] * (wide - VALUE)
            parts.append(
                f"<rect x='{left:.1f}' y='{y + 4}' width='{length:.1f}' height='{ROW - 8}' "
                f"fill='{COLOURS[at % len(COLOURS)]}'/>"
                f"<text x='{left + length + 6:.1f}' y='{y + 17}'>{escape(format.format(value))}</text>"
            )
        y += _height(lines)
    text = [
        f"{label}: "
        + ", ".join(f"{name} {format.format(value)}" for value, (name, format) in zip(values, columns, strict=True))
        for label, values in rows
    ]
    return Drawing(styled(_picture(title, y, parts)), "\n".join([title, *text]))


def _labels(labels: Sequence[str], least: int, most: int) -> tuple[int, list[list[str]]]:
    """Where the bars begin, and each label in lines: the column is as wide as the longest, up to ``most`` pixels."""
    room = int((most - GAP) / LETTER)
    lines = [[label] if _letters(label) <= room else _broken(label, room) for label in labels]
    longest = max((_letters(line) for each in lines for line in each), default=0)
    return max(least, min(most, math.ceil(longest * LETTER) + GAP)), lines


def _broken(label: str, room: int) -> list[str]:
    return textwrap.wrap(label, room if _letters(label) == len(label) else room // 2)


def _letters(text: str) -> int:
    """Widths of a letter that a text takes; Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def _label_text(lines: Sequence[str], left: int, y: int) -> str:
    return "".join(
        f"<text class='label' x='{left - GAP}' y='{y + 17 + LINE * number}' text-anchor='end'>{escape(line)}</text>"
        for number, line in enumerate(lines)
    )


def _height(lines: Sequence[str]) -> int:
    """Of a row whose label has so many lines."""
    return ROW + LINE * (len(lines) - 1)


def _picture(title: str, height: int, parts: Sequence[str]) -> str:
    return (
        f"<svg viewBox='0 0 {WIDTH} {height}' role='img' aria-label='{escape(title)}' "
        f"xmlns='http://www.w3.org/2000/svg'>{''.join(parts)}</svg>"
    )


def styled(svg: str) -> str:
    """A picture with its width, and with the looks of its words, which a page outside cannot give it."""
    opening, rest = svg.split(">", 1)
    return f"{opening} width='{WIDTH}' style='max-width: 100%; height: auto'>{STYLE}{rest}"
