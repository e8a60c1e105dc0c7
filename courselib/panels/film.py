"""Who ran where and when, as a strip for each slot or request: SVG with a twin in text, as ``drawing`` makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from courselib.i18n import N_, _
from courselib.memory.batching import Schedule
from courselib.memory.names import letters
from courselib.panels.base import escape
from courselib.panels.drawing import INK, Drawing, styled
from courselib.panels.lines import COLOURS, FAINT, WIDTH, ticks

# What reads on each of the colours, with a contrast of 4.5:1 at least.
TEXT_ON = ("#fff", "#000", "#000", "#000", "#000", "#000")
LEFT, RIGHT, TOP, ROW, SIGN = 96, 14, 26, 22, 8
Kind = Literal["busy", "held", "waiting"]
KINDS: dict[str, str] = {
    "busy": N_("generates tokens"),
    "held": N_("slot held, nothing generated"),
    "waiting": N_("waits"),
}


@dataclass(frozen=True)
class Scene:
    """One request for a while.

    Args:
        row: the strip it is in, from 0.
        start: when it begins, in the unit of the axis.
        end: when it ends.
        label: the request's name; requests of one name have one colour.
        kind: what happens meanwhile.
    """

    row: int
    start: float
    end: float
    label: str
    kind: Kind = "busy"


def film(rows: Sequence[str], scenes: Sequence[Scene], *, title: str, x: str, until: float | None = None) -> Drawing:
    """Strips below one another, over one axis of time.

    Args:
        rows: their names.
        scenes: what is in them.
        title: what the picture shows.
        x: the name of the axis, with its unit.
        until: where the axis ends; give two films the same to compare them.
    """
    last = until or max((scene.end for scene in scenes), default=1) or 1
    names = list(dict.fromkeys(scene.label for scene in scenes))
    bottom = TOP + ROW * len(rows)
    across = (WIDTH - LEFT - RIGHT) / last
    parts = [f"<text x='0' y='16'>{escape(title)}</text>"]
    for step in ticks(0, last):
        at = LEFT + step * across
        parts.append(f"<line x1='{at:.1f}' x2='{at:.1f}' y1='{TOP}' y2='{bottom}' stroke='{FAINT}'/>")
        parts.append(f"<text x='{at:.1f}' y='{bottom + 16}' text-anchor='middle'>{step:g}</text>")
    for number, row in enumerate(rows):
        parts.append(f"<text x='{LEFT - 8}' y='{TOP + number * ROW + 15}' text-anchor='end'>{escape(row)}</text>")
    parts += [_scene(scene, names.index(scene.label), across) for scene in scenes if scene.end > scene.start]
    kinds = [kind for kind in KINDS if any(scene.kind == kind and scene.end > scene.start for scene in scenes)]
    parts.append(f"<text x='{(LEFT + WIDTH - RIGHT) / 2}' y='{bottom + 34}' text-anchor='middle'>{escape(x)}</text>")
    parts.append(_legend(kinds, bottom + 46))
    svg = (
        f"<svg viewBox='0 0 {WIDTH} {bottom + 66}' role='img' aria-label='{escape(title)}' "
        f"xmlns='http://www.w3.org/2000/svg'>{''.join(parts)}</svg>"
    )
    return Drawing(styled(svg), "\n".join([f"{title} ({x})", *_lines(rows, scenes)]))


def slots_film(schedule: Schedule, *, title: str, until: float | None = None) -> Drawing:
    """A simulated schedule, a strip for each slot.

    Args:
        schedule: of few enough requests to be seen.
        title: what the picture shows.
        until: where the axis ends, in steps.
    """
    scenes = []
    for span in schedule.spans:
        name = letters(span.job)
        scenes.append(Scene(span.slot, span.start, span.end, name))
        scenes.append(Scene(span.slot, span.end, span.released, name, "held"))
    rows = [_("slot {n}").format(n=slot + 1) for slot in range(schedule.slots)]
    return film(rows, scenes, title=title, x=_("steps"), until=until)


def requests_film(times: Sequence[tuple[float, float, float]], *, title: str, until: float | None = None) -> Drawing:
    """A real run, a strip for each request.

    Args:
        times: of each request, when it was sent, and when its first and its last token came, in seconds.
        title: what the picture shows.
        until: where the axis ends, in seconds.
    """
    begin = min((sent for sent, _first, _last in times), default=0.0)
    scenes = []
    for row, (sent, first, last) in enumerate(times):
        name = letters(row)
        scenes.append(Scene(row, round(sent - begin, 2), round(first - begin, 2), name, "waiting"))
        scenes.append(Scene(row, round(first - begin, 2), round(last - begin, 2), name))
    rows = [_("request {name}").format(name=letters(row)) for row in range(len(times))]
    return film(rows, scenes, title=title, x="s", until=until)


def _scene(scene: Scene, name: int, across: float) -> str:
    colour = COLOURS[name % len(COLOURS)]
    left, width = LEFT + scene.start * across, (scene.end - scene.start) * across
    top = TOP + scene.row * ROW
    words = f"<title>{escape(_said(scene))}</title>"
    if scene.kind == "waiting":
        y = top + ROW / 2
        return (
            f"<line x1='{left:.1f}' x2='{left + width:.1f}' y1='{y}' y2='{y}' stroke='{INK}' stroke-width='2' "
            f"stroke-dasharray='2 4'>{words}</line>"
        )
    if scene.kind == "held":
        return (
            f"<rect x='{left + 1:.1f}' y='{top + 3}' width='{max(0.5, width - 2):.1f}' height='{ROW - 6}' fill='none' "
            f"stroke='{INK}' stroke-dasharray='3 3'>{words}</rect>"
        )
    box = (
        f"<rect x='{left:.1f}' y='{top + 2}' width='{max(1.0, width - 1):.1f}' height='{ROW - 4}' "
        f"fill='{colour}'>{words}</rect>"
    )
    if width < SIGN * len(scene.label) + 8:
        return box
    ink = TEXT_ON[name % len(COLOURS)]
    return f"{box}<text x='{left + 5:.1f}' y='{top + 15}' style='fill: {ink}'>{escape(scene.label)}</text>"


def _legend(kinds: Sequence[str], y: float) -> str:
    signs = {
        "busy": f"<rect x='0' y='0' width='22' height='12' fill='{COLOURS[0]}'/>",
        "held": f"<rect x='0.5' y='0.5' width='21' height='11' fill='none' stroke='{INK}' stroke-dasharray='3 3'/>",
        "waiting": f"<line x1='0' x2='22' y1='6' y2='6' stroke='{INK}' stroke-width='2' stroke-dasharray='2 4'/>",
    }
    return "".join(
        f"<g transform='translate({LEFT + place * 190} {y})'>{signs[kind]}"
        f"<text x='28' y='11'>{escape(_(KINDS[kind]))}</text></g>"
        for place, kind in enumerate(kinds)
    )


def _said(scene: Scene) -> str:
    return f"{scene.label} {scene.start:g}-{scene.end:g}: {_(KINDS[scene.kind])}"


def _lines(rows: Sequence[str], scenes: Sequence[Scene]) -> list[str]:
    """A line for each strip: what is in it, in order; what nothing is generated in stands in brackets."""
    lines = []
    for number, row in enumerate(rows):
        here = sorted((s for s in scenes if s.row == number and s.end > s.start), key=lambda scene: scene.start)
        said = [
            f"{scene.label} {scene.start:g}-{scene.end:g}" if scene.kind == "busy"
            else f"({_(KINDS[scene.kind])} {scene.start:g}-{scene.end:g})"
            for scene in here
        ]  # fmt: skip
        lines.append(f"{row}: {', '.join(said)}")
    return lines
