"""A diagram's text, read into rows of boxes, arrows and frames."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MARKS = {"*": "strong", "-": "free"}
_DOWN = re.compile(r"(?P<arrow>v\^?)(?: +(?P<label>.+))?")
_ROW = re.compile(r"(?:(?P<label>[^\[\]<>:]+): +)?(?P<items>\[.*\])")
_ITEM = re.compile(
    r"\[(?P<mark>[*-]?)(?P<text>[^\[\]]+)\]|(?P<arrow><?--(?: (?P<label>[^\[\]]+?) --)?>)|(?P<space>\s+)"
)


@dataclass(frozen=True)
class Box:
    """A part: its lines, the first one large; ``kind`` is empty, ``"strong"`` or ``"free"``."""

    lines: tuple[str, ...]
    kind: str = ""


@dataclass(frozen=True)
class Arrow:
    """What connects two parts; ``is_both`` for both directions."""

    label: str = ""
    is_both: bool = False


@dataclass(frozen=True)
class Row:
    """Parts in a row, each with the arrow that leads to it, if there is one."""

    label: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow | None, ...]


@dataclass
class Frame:
    """Rows, arrows between them, and frames, one below the other."""

    title: str = ""
    body: list[Row | Arrow | Frame] = field(default_factory=list)


def parse(text: str) -> Frame:
    """The picture's paragraph, read.

    Raises:
        ValueError: a line is none of those above; says which.
    """
    frames = [Frame()]
    for line in filter(None, map(str.strip, text.split("\n"))):
        down, row = _DOWN.fullmatch(line), _ROW.fullmatch(line)
        if line.startswith("{"):
            frames.append(Frame(line[1:].strip()))
            frames[-2].body.append(frames[-1])
        elif line == "}" and len(frames) > 1:
            frames.pop()
        elif down:
            frames[-1].body.append(Arrow(down["label"] or "", down["arrow"] == "v^"))
        elif row:
            frames[-1].body.append(_row(line, row))
        else:
            raise ValueError(line)
    if len(frames) > 1:
        raise ValueError("{ " + frames[-1].title)
    return frames[0]


def _row(line: str, row: re.Match[str]) -> Row:
    boxes: list[Box] = []
    arrows: list[Arrow | None] = []
    waiting: Arrow | None = None
    at = 0
    while at < len(row["items"]):
        item = _ITEM.match(row["items"], at)
        if not item:
            raise ValueError(line)
        at = item.end()
        if item["arrow"]:
            waiting = Arrow(item["label"] or "", item["arrow"].startswith("<"))
        elif item["text"]:
            lines = tuple(part.strip() for part in item["text"].split("|"))
            boxes.append(Box(lines, MARKS.get(item["mark"], "")))
            arrows.append(waiting)
            waiting = None
    return Row(row["label"] or "", tuple(boxes), tuple(arrows))
