"""A diagram as SVG: on a ground of its own, so that its words can be read in every theme, and without scripts.

A picture knows the colour scheme: that of the page where the page sets one, as JupyterLab's themes do, or
else the reader's. The ground is opaque, since a page may be dark without saying so.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from courselib.authoring.diagram_text import Arrow, Box, Frame, Row

# What a notebook's column shows at its full size beside a file list; wider ones would be shrunk until nobody can read.
MAX_WIDTH = 780
MARGIN, GAP, PAD = 16, 12, 14
TITLE_PX, SMALL_PX, LINE = 14, 12, 17
# Of an em; widths of letters differ between fonts, and this is a wide one's.
LETTER = 0.57
ARROW, DOWN, HEAD = 40, 40, 8
STYLE = """
text { font: 12px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f; }
.title { font-size: 14px; font-weight: 600; }
.ground { fill: #ffffff; stroke: #8c959f; }
.frame { fill: #f0f3f6; stroke: #6e7781; }
.box { fill: #dbeafe; stroke: #1d4ed8; }
.strong { fill: #ffe2c2; stroke: #b45309; }
.free { fill: none; stroke: #6e7781; stroke-dasharray: 4 3; }
.line { stroke: #57606a; stroke-width: 1.5; }
.head { fill: #57606a; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.ground { fill: #161b22; stroke: #6e7681; }
.frame { fill: #21262d; stroke: #8b949e; }
.box { fill: #12305f; stroke: #79a8ff; }
.strong { fill: #56330a; stroke: #f0a95b; }
.line { stroke: #adb5bd; }
.head { fill: #adb5bd; }
}
"""


def width(frame: Frame) -> float:
    """How wide a diagram is, in pixels."""
    return _size(frame)[0] + 2 * MARGIN


def draw(frame: Frame, twin: str) -> str:
    """A diagram's SVG.

    Args:
        frame: as ``diagram_text.parse`` gives it.
        twin: what it shows, in words.
    """
    inner, height = _size(frame)
    wide, high = round(inner + 2 * MARGIN), round(height + 2 * MARGIN)
    parts = "\n".join(_column(frame, MARGIN, MARGIN, inner))
    box = f'width="{wide}" height="{high}" viewBox="0 0 {wide} {high}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img">\n'
        f"<title>{escape(twin)}</title>\n<style>{STYLE}</style>\n"
        f'<rect class="ground" x="0.5" y="0.5" width="{wide - 1}" height="{high - 1}" rx="8"/>\n{parts}\n</svg>\n'
    )


def _letters(text: str, px: int) -> float:
    # Chinese and the like are as wide as they are high.
    return sum(px if ord(sign) > 0x2E80 else px * LETTER for sign in text)


def _size(part: Row | Arrow | Frame) -> tuple[float, float]:
    if isinstance(part, Arrow):
        return (2 * _letters(part.label, SMALL_PX) + 24 if part.label else 0), DOWN
    if isinstance(part, Row):
        boxes = sum(_box_size(box)[0] for box in part.boxes)
        gaps = sum(_gap(arrow) for arrow in part.arrows[1:])
        return boxes + gaps, max(_box_size(box)[1] for box in part.boxes)
    sizes = [_size(each) for each in part.body]
    inner = _label_width(part) + max((size[0] for size in sizes), default=0)
    height = sum(size[1] for size in sizes) + sum(_between(part))
    if part.title:
        title = _letters(part.title, TITLE_PX)
        return max(inner, title) + 2 * PAD, height + 2 * PAD + LINE
    return inner, height


def _box_size(box: Box) -> tuple[float, float]:
    first, *others = (_letters(line, SMALL_PX if n else TITLE_PX) for n, line in enumerate(box.lines))
    return max(44, first * 1.1, *others) + 20, 16 + LINE * len(box.lines)


def _gap(arrow: Arrow | None) -> float:
    return GAP if arrow is None else max(ARROW, *(_letters(each, SMALL_PX) + 26 for each in arrow.label.split("|")))


def _label_width(frame: Frame) -> float:
    return max(
        (_letters(each.label, SMALL_PX) + 14 for each in frame.body if isinstance(each, Row) and each.label), default=0
    )


def _between(frame: Frame) -> Iterator[float]:
    """The space before each part of a frame: none beside an arrow down, which brings its own."""
    for before, after in zip(frame.body, frame.body[1:], strict=False):
        yield 0 if isinstance(before, Arrow) or isinstance(after, Arrow) else GAP


def _column(frame: Frame, x: float, y: float, wide: float) -> Iterator[str]:
    """A frame's parts, one below the other: in the middle, or below each other where rows have names."""
    labels = _label_width(frame)
    spaces = [*_between(frame), 0]
    for part, space in zip(frame.body, spaces, strict=True):
        across, high = _size(part)
        if isinstance(part, Arrow):
            yield from _down(part, x + labels + (wide - labels) / 2, y)
        elif isinstance(part, Row):
            if part.label:
                yield _text(part.label, x, y + high / 2 + 4)
            yield from _row(part, x + labels + (0 if labels else (wide - across) / 2), y, high)
        else:
            yield from _frame(part, x + labels + (wide - labels - across) / 2, y)
        y += high + space


def _frame(frame: Frame, x: float, y: float) -> Iterator[str]:
    wide, high = _size(frame)
    yield _rect("frame", x, y, wide, high)
    yield _text(frame.title, x + PAD, y + LINE + 2, "title")
    yield from _column(frame, x + PAD, y + PAD + LINE, wide - 2 * PAD)


def _row(row: Row, x: float, y: float, high: float) -> Iterator[str]:
    for n, (box, arrow) in enumerate(zip(row.boxes, row.arrows, strict=True)):
        if n:
            gap = _gap(arrow)
            if arrow:
                yield from _across(arrow, x, x + gap, y + high / 2)
            x += gap
        wide = _box_size(box)[0]
        yield _rect(f"box {box.kind}".strip() if box.kind != "free" else "free", x, y, wide, high)
        top = y + (high - LINE * len(box.lines)) / 2
        for number, line in enumerate(box.lines):
            style = "small" if number else "title"
            yield _text(line, x + wide / 2, top + LINE * number + 13, style, "middle")
        x += wide


def _across(arrow: Arrow, left: float, right: float, y: float) -> Iterator[str]:
    start = left + (HEAD + 2 if arrow.is_both else 3)
    yield f'<path class="line" d="M{start:.1f} {y:.1f}H{right - HEAD - 2:.1f}"/>'
    yield _head(right - 2, y, -HEAD, HEAD / 2, is_down=False)
    if arrow.is_both:
        yield _head(left + 2, y, HEAD, HEAD / 2, is_down=False)
    for number, label in enumerate(filter(None, arrow.label.split("|"))):
        yield _text(label.strip(), (left + right) / 2, y + (16 if number else -6), "small", "middle")


def _down(arrow: Arrow, x: float, y: float) -> Iterator[str]:
    start = y + (HEAD + 2 if arrow.is_both else 3)
    yield f'<path class="line" d="M{x:.1f} {start:.1f}V{y + DOWN - HEAD - 2:.1f}"/>'
    yield _head(x, y + DOWN - 2, -HEAD, HEAD / 2, is_down=True)
    if arrow.is_both:
        yield _head(x, y + 2, HEAD, HEAD / 2, is_down=True)
    if arrow.label:
        yield _text(arrow.label, x + 12, y + DOWN / 2 + 4)


def _head(x: float, y: float, back: float, side: float, *, is_down: bool) -> str:
    if is_down:
        points = f"{x:.1f},{y:.1f} {x - side:.1f},{y + back:.1f} {x + side:.1f},{y + back:.1f}"
    else:
        points = f"{x:.1f},{y:.1f} {x + back:.1f},{y - side:.1f} {x + back:.1f},{y + side:.1f}"
    return f'<polygon class="head" points="{points}"/>'


def _rect(style: str, x: float, y: float, wide: float, high: float) -> str:
    return f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="5"/>'


def _text(text: str, x: float, y: float, style: str = "small", anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text, quote=False)}</text>'
