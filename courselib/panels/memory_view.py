"""The Memory panel's pictures: where the bytes go against what there is, and what was predicted against what came.

SVG and HTML text, the same in a live panel and in a saved notebook.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from courselib.i18n import N_, _
from courselib.memory import MIB, Estimate, size_text
from courselib.memory.estimate import BASIS, NAMES, ON_TOP, ON_TOP_BASIS, Part
from courselib.panels.base import escape
from courselib.panels.lines import COLOURS, FAINT, Curve, lines_svg
from courselib.panels.memory_run import MemoryRun, error_words
from courselib.panels.tables import table_html

WIDTH, LEFT, RIGHT = 640, 128, 16
ROW, BAR, TOP, BOTTOM = 40, 26, 26, 26
# A budget that is more than so many times what is needed lies beyond the picture's edge.
FAR = 3.0
# By part; those of the engine itself and what is not told apart are grey.
GREY = "#8a8a8a"
PART_COLOURS = {
    "weights": COLOURS[0],
    "repacked": COLOURS[4],
    "kv_cache": COLOURS[1],
    "recurrent": COLOURS[5],
    "compute": COLOURS[2],
    "output": COLOURS[3],
    "runtime": GREY,
    "rest": GREY,
}
REST = N_("the rest")
# So wide a sign is, about, at 12 px.
SIGN = 7.0
LEGEND_ROW, LEGEND_COLUMNS = 18, 3


@dataclass(frozen=True)
class Bar:
    """One bar: its name, where it comes from, and its parts by name, in bytes."""

    name: str
    origin: str
    parts: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        """All parts."""
        return sum(size for _name, size in self.parts)


def part_words(name: str) -> str:
    """A part's name for people."""
    return _(REST) if name == "rest" else _(NAMES[name])


def bars_of(
    sizes: Sequence[tuple[str, int]], run: MemoryRun | None, *, later: tuple[str, ...], measured: str
) -> list[Bar]:
    """What is reserved, what is used of it once the server is ready, and what was measured.

    Args:
        sizes: what is predicted, by part.
        run: a start with these settings.
        later: parts that are not used yet when the server is ready.
        measured: where the run comes from, for people.
    """
    bars = [Bar(_("reserved"), _("simulated"), tuple(sizes))]
    if later:
        used = tuple((name, size) for name, size in sizes if name not in later)
        bars.append(Bar(_("used at the start"), _("simulated"), used))
    if run:
        told = [(name, size) for name, size in run.reported.items() if name not in later and name != "compute"]
        rest = run.resident - sum(size for _name, size in told)
        bars.append(Bar(_("used at the start"), measured, (*told, ("rest", max(0, rest)))))
    return bars


def stacked_svg(bars: Sequence[Bar], available: int, limit_words: str, *, legend: bool = False) -> str:
    """Stacked bars, one below the other, and a line where the memory ends.

    Args:
        bars: at least one.
        available: bytes there are.
        limit_words: what the line is called.
        legend: whether the parts' names stand below, where no table has them.
    """
    longest = max((bar.total for bar in bars), default=0) or 1
    far = available > FAR * longest
    scale = (WIDTH - LEFT - RIGHT) / (1.25 * longest if far else 1.06 * max(longest, available))
    height = TOP + ROW * len(bars) + BOTTOM
    parts = [_row(bar, number, scale) for number, bar in enumerate(bars)]
    words = f"{limit_words}: {size_text(available)}"
    at = WIDTH - RIGHT if far else LEFT + available * scale
    words = f"{words} →" if far else words
    anchor = "end" if at > WIDTH / 2 else "start"
    dash = "2 5" if far else "6 3"
    parts.append(
        f"<line x1='{at:.1f}' x2='{at:.1f}' y1='{TOP - 6}' y2='{height - BOTTOM + 2}' stroke='currentColor' "
        f"stroke-width='2' stroke-dasharray='{dash}'/>"
        f"<text x='{at + (-4 if anchor == 'end' else 4):.1f}' y='14' text-anchor='{anchor}' fill='currentColor'>"
        f"{escape(words)}</text>"
    )
    parts.append(_axis(height, scale, longest if far else max(longest, available)))
    whole = height
    if legend:
        names = list(dict.fromkeys(name for bar in bars for name, _size in bar.parts))
        parts += [_entry(name, number, height) for number, name in enumerate(names)]
        whole += LEGEND_ROW * -(-len(names) // LEGEND_COLUMNS) + 4
    title = "; ".join(f"{bar.name} ({bar.origin}): {size_text(bar.total)}" for bar in bars)
    return (
        f"<svg class='cl-lines cl-bytes' viewBox='0 0 {WIDTH} {whole}' role='img' "
        f"aria-label='{escape(f'{title}; {words}')}' xmlns='http://www.w3.org/2000/svg' fill='none'>"
        f"{''.join(parts)}</svg>"
    )


def _row(bar: Bar, number: int, scale: float) -> str:
    y = TOP + number * ROW + 4
    found = [
        f"<text x='{LEFT - 8}' y='{y + 11}' text-anchor='end' fill='currentColor'>{escape(bar.name)}</text>"
        f"<text x='{LEFT - 8}' y='{y + 25}' text-anchor='end' fill='currentColor' font-size='10'>"
        f"{escape(bar.origin)}</text>"
    ]
    x = float(LEFT)
    for name, size in bar.parts:
        width, words = size * scale, f"{part_words(name)}: {size_text(size)}"
        found.append(
            f"<rect x='{x:.1f}' y='{y}' width='{max(width, 0.5):.1f}' height='{BAR}' fill='{PART_COLOURS[name]}' "
            f"stroke='white' stroke-width='.8'><title>{escape(words)}</title></rect>"
        )
        x += width
    # Beside its end, or where that would leave the picture, on it.
    words = size_text(bar.total)
    fits = x + SIGN * len(words) + 8 < WIDTH - RIGHT
    place, anchor, ink = (x + 6, "start", "currentColor") if fits else (x - 6, "end", "white")
    found.append(f"<text x='{place:.1f}' y='{y + 17}' text-anchor='{anchor}' fill='{ink}'>{escape(words)}</text>")
    return "".join(found)


def _entry(name: str, number: int, top: int) -> str:
    """A line of the legend."""
    row, column = divmod(number, LEGEND_COLUMNS)
    x, y = 12 + column * (WIDTH - 12) / LEGEND_COLUMNS, top + row * LEGEND_ROW + 4
    return (
        f"<rect x='{x:.0f}' y='{y}' width='12' height='10' fill='{PART_COLOURS[name]}'/>"
        f"<text x='{x + 18:.0f}' y='{y + 9}' fill='currentColor'>{escape(part_words(name))}</text>"
    )


def _axis(height: int, scale: float, most: float) -> str:
    y = height - BOTTOM + 4
    return (
        f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y}' y2='{y}' stroke='{FAINT}'/>"
        f"<text x='{LEFT}' y='{y + 16}' fill='currentColor' text-anchor='middle'>0</text>"
        f"<text x='{LEFT + most * scale:.1f}' y='{y + 16}' fill='currentColor' text-anchor='end'>"
        f"{escape(size_text(round(most)))}</text>"
    )


def scrolling(svg: str) -> str:
    """A picture that keeps words of a size that can be read in a narrow panel, and scrolls there."""
    label = escape(_("Where the bytes go"))
    return f"<div class='cl-scrolls' tabindex='0' role='region' aria-label='{label}'>{svg}</div>"


def sizes_of(estimate: Estimate, *, on_gpu: bool) -> list[tuple[str, int]]:
    """The parts with their sizes, in RAM and GPU or in the GPU alone."""
    sizes = [(part.name, part.on_gpu if on_gpu else part.size) for part in estimate.parts]
    return [(name, size) for name, size in sizes if size]


def parts_html(estimate: Estimate, *, on_gpu: bool) -> str:
    """The parts as a table, each with its colour and where its figure comes from."""
    rows = "".join(_part_row(part, on_gpu) for part in estimate.parts)
    if estimate.on_top:
        words = _(ON_TOP_BASIS) if not on_gpu else "; ".join([_("in RAM"), _(ON_TOP_BASIS)])
        rows += (
            f"<tr><th scope='row'><i style='border-style: dashed'></i>{escape(_(ON_TOP))}</th>"
            f"<td>{escape(size_text(estimate.on_top))}</td><td class='cl-quiet'>{escape(words)}</td></tr>"
        )
    return f"<table class='cl-facts cl-parts'>{rows}</table>"


def _part_row(part: Part, on_gpu: bool) -> str:
    on_card = _("on the GPU: {size}").format(size=size_text(part.on_gpu))
    words = "; ".join([*([on_card] if on_gpu else []), _(BASIS[part.basis])])
    swatch = f"<i style='background:{PART_COLOURS[part.name]}'></i>"
    return (
        f"<tr><th scope='row'>{swatch}{escape(part_words(part.name))}</th>"
        f"<td>{escape(size_text(part.size))}</td><td class='cl-quiet'>{escape(words)}</td></tr>"
    )


def measured_html(run: MemoryRun, origin: str) -> str:
    """What came, beside what was predicted."""
    rows = [
        (name, size_text(predicted) if predicted else "–", size_text(size), error_words(predicted, size))
        for name, predicted, size in run.rows
    ]
    heads = ("", _("predicted (simulated)"), origin, _("error"))
    label = escape(_("Predicted and measured"))
    table = table_html(heads, rows, css="cl-facts cl-numbers")
    return f"<div class='cl-scrolls' tabindex='0' role='region' aria-label='{label}'>{table}</div>"


def calibration_svg(runs: Sequence[MemoryRun]) -> str:
    """Each run's resident memory, predicted across and measured up; on the line they are equal."""
    sizes = [size for run in runs for size in (run.predicted.get("resident", 0), run.resident) if size]
    low, high = 0.8 * min(sizes) / MIB, 1.15 * max(sizes) / MIB
    curves = [Curve(_("predicted as measured"), [(low, low), (high, high)], dots=False)]
    for name, here in ((_("recorded"), False), (_("measured here"), True)):
        kind = [run for run in runs if run.here is here and run.predicted.get("resident")]
        points = [(run.predicted["resident"] / MIB, run.resident / MIB) for run in kind]
        curves += [Curve(name, points, [_run_words(run) for run in kind], line=False)] if kind else []
    title = _("{n} starts: memory in RAM, predicted (simulated) and measured").format(n=len(runs))
    svg = lines_svg(
        curves, title=title, x=_("predicted, MiB (simulated)"), y=_("measured, MiB"), span=(low, high), round_x=True
    )
    return f"<p class='cl-figure-title'>{escape(title)}</p>{svg}"


def _run_words(run: MemoryRun) -> str:
    x, y = run.predicted["resident"], run.resident
    return f"{asked_words(run)}: {size_text(x)}, {size_text(y)}, {error_words(x, y)}"


def asked_words(run: MemoryRun) -> str:
    """What was asked, shortly."""
    asked = dict(run.asked)
    names = {
        "llama.cpp": ("context", "parallel", "cache_type_k", "cache_type_v", "ubatch", "flash_attn"),
        "vllm": ("max_model_len", "kv_cache_mib", "max_num_seqs"),
    }
    shown = [f"{name}={asked[name]}" for name in names.get(run.engine, ()) if name in asked]
    more = ["kv_unified"] if asked.get("kv_unified") and run.engine == "llama.cpp" else []
    return ", ".join([str(asked["model"]).rsplit("/", 1)[-1], run.engine, *shown, *more])
