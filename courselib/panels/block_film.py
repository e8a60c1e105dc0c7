"""The blocks of a simulated KV cache, step by step: a grid coloured by sequence, and a slider through time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import traitlets

from courselib.checks import check_whole
from courselib.errors import SettingsError
from courselib.i18n import N_, _
from courselib.memory.paged_cache import Cell, PagedCache
from courselib.memory.reserved_cache import ReservedCache
from courselib.memory.serving import Request, Served, serve
from courselib.panels.base import Panel, escape
from courselib.panels.drawing import styled
from courselib.panels.film import TEXT_ON
from courselib.panels.lines import COLOURS, FAINT, WIDTH
from courselib.panels.still import SVG

COLUMNS, ROW, GAP = 8, 40, 6
MOST_STEPS, MOST_BLOCKS, INTERVAL_MS = 1000, 128, 500
STILLS = 4


@dataclass(frozen=True)
class Frame:
    """The cache after a step.

    Args:
        step: its number, from 1.
        cells: the blocks.
        stored: tokens in them, shared ones once.
    """

    step: int
    cells: tuple[Cell, ...]
    stored: int


class BlockFilm(Panel):
    """What is in each block of a KV cache while requests are served; ``step`` is the trait that the slider moves.

    Args:
        requests: in the order of their arrival.
        cache: an empty one, which is used up.
        block_size: tokens in a cell; only for a cache that is not paged.

    Raises:
        SettingsError: there are no requests, it would take too many steps or blocks to be looked at, or a request fits
            nowhere.
    """

    step = traitlets.Int(1)
    heading = N_("KV cache, block by block")

    def __init__(
        self, requests: Sequence[Request], cache: PagedCache | ReservedCache, *, block_size: int | None = None
    ) -> None:
        # No engine of today reserves a range for each request.
        super().__init__(_(self.heading), "vllm" if isinstance(cache, PagedCache) else "", _("simulated"))
        self.block_size = cache.block_size if isinstance(cache, PagedCache) else block_size or 1
        check_whole("block_size", self.block_size, 1)
        if not requests:
            raise SettingsError(_("There are no requests to show; give at least one."))
        if -(-cache.size // self.block_size) > MOST_BLOCKS:
            raise SettingsError(
                _("More than {n} blocks cannot be shown; make the cache smaller.").format(n=MOST_BLOCKS)
            )
        self.frames: list[Frame] = []
        self.served: Served = serve(requests, cache, watch=self._keep)
        self._order = list(dict.fromkeys(name for frame in self.frames for cell in frame.cells for name in cell.owners))
        self._arrange()
        self.observe(self._draw, "step")
        self._draw()
        self.stills = {"text/plain": self._all_as_text(), SVG: self._sheet()}

    def _keep(self, step: int, cache: PagedCache | ReservedCache) -> None:
        if len(self.frames) == MOST_STEPS:
            raise SettingsError(
                _("More than {n} steps cannot be shown; use fewer or shorter requests.").format(n=MOST_STEPS)
            )
        cells = cache.cells() if isinstance(cache, PagedCache) else cache.cells(self.block_size)
        self.frames.append(Frame(step, cells, cache.stored))

    def _arrange(self) -> None:
        last = len(self.frames)
        self.slider = widgets.IntSlider(
            min=1, max=max(1, last), description=_("Step"), layout=widgets.Layout(width="min(460px, 100%)")
        )
        self.slider.add_class("cl-step")
        self.play = widgets.Play(min=1, max=max(1, last), interval=INTERVAL_MS)
        widgets.jslink((self.play, "value"), (self.slider, "value"))
        traitlets.link((self, "step"), (self.slider, "value"))
        self.picture, self.words = widgets.HTML(), widgets.HTML()
        # Narrow, the slider has a row of its own.
        moved = widgets.HBox([self.play, self.slider], layout=widgets.Layout(flex_flow="row wrap"))
        self.lay_out(moved, self.words, self.picture)

    @property
    def frame(self) -> Frame:
        """The one that is shown."""
        return self.frames[self.step - 1]

    @traitlets.validate("step")
    def _in_range(self, proposal: Any) -> int:
        if not 1 <= proposal.value <= len(self.frames):
            raise SettingsError(
                _("step is {n}; choose a number from 1 to {last}.").format(n=proposal.value, last=len(self.frames))
            )
        return int(proposal.value)

    def _draw(self, _change: object = None) -> None:
        frame = self.frame
        self.words.value = f"<div aria-live='polite'>{escape(self._summary(frame))}</div>"
        self.picture.value = styled(_svg(self._grid(frame, 0), _height(frame), self._summary(frame)))
        self.set_state_text(_("step {n} of {last}").format(n=self.step, last=len(self.frames)))

    def _summary(self, frame: Frame) -> str:
        used = sum(bool(cell.owners) for cell in frame.cells)
        shared = sum(len(cell.owners) > 1 for cell in frame.cells)
        return _("{used} of {all} blocks in use, {shared} of them shared; {tokens} tokens in room for {room}").format(
            used=used, all=len(frame.cells), shared=shared, tokens=frame.stored, room=used * self.block_size
        )

    def _grid(self, frame: Frame, top: float) -> str:
        wide = (WIDTH + GAP) / COLUMNS
        return "".join(
            self._cell(number, cell, number % COLUMNS * wide, top + number // COLUMNS * ROW, wide - GAP)
            for number, cell in enumerate(frame.cells)
        )

    def _cell(self, number: int, cell: Cell, x: float, y: float, width: float) -> str:
        """A frame as wide as a full block, filled as far as it holds tokens; who refers to it stands in it."""
        height = ROW - GAP
        said = f"{number}: {', '.join(cell.owners) or _('free')}, {cell.tokens}/{self.block_size}"
        if not cell.owners:
            return (
                f"<rect x='{x + 0.5:.1f}' y='{y + 0.5}' width='{width - 1:.1f}' height='{height - 1}' fill='none' "
                f"stroke='{FAINT}'><title>{escape(said)}</title></rect>"
            )
        place = self._order.index(cell.owners[0]) % len(COLOURS)
        filled = width * cell.tokens / self.block_size
        name = cell.owners[0] if len(cell.owners) == 1 else f"{cell.owners[0]} +{len(cell.owners) - 1}"
        # Names stand on a ground of their own: a block may be filled to the middle of one.
        return (
            f"<g><title>{escape(said)}</title>"
            f"<rect x='{x:.1f}' y='{y}' width='{filled:.1f}' height='{height}' fill='{COLOURS[place]}' opacity='.55'/>"
            f"<rect x='{x + 1:.1f}' y='{y + 1}' width='{width - 2:.1f}' height='{height - 2}' fill='none' "
            f"stroke='{COLOURS[place]}' stroke-width='2'/>"
            f"<rect x='{x + 5:.1f}' y='{y + 7}' width='{8 * len(name) + 6}' height='20' rx='4' "
            f"fill='{COLOURS[place]}'/>"
            f"<text x='{x + 8:.1f}' y='{y + 21}' class='label' style='fill: {TEXT_ON[place]}'>{escape(name)}</text></g>"
        )

    def _sheet(self) -> str:
        """Some of the frames below one another, for saved notebooks."""
        last = len(self.frames) - 1
        chosen = [self.frames[round(place * last / STILLS)] for place in range(STILLS)]
        parts, top = [], 0.0
        for frame in chosen:
            words = _("Step {n}: {what}").format(n=frame.step, what=self._summary(frame))
            parts.append(f"<text x='0' y='{top + 16}'>{escape(words)}</text>{self._grid(frame, top + 26)}")
            top += _height(frame) + 40
        return styled(_svg("".join(parts), top, self.title))

    def _text(self, frame: Frame) -> str:
        cells = [f"{number}:{'+'.join(c.owners)}={c.tokens}" for number, c in enumerate(frame.cells) if c.owners]
        return f"{frame.step:>4}  {' '.join(cells) or '-'}"

    def _all_as_text(self) -> str:
        shown = [self.frames[round(place * (len(self.frames) - 1) / STILLS)] for place in range(STILLS)]
        return "\n".join([f"{self.title}, {_('simulated')}", *map(self._text, shown)])

    def as_table(self) -> str:
        """The step that is shown as text: by block who refers to it, and how many tokens it holds."""
        return "\n".join([super().as_table(), self._summary(self.frame), self._text(self.frame)])

    def __repr__(self) -> str:
        # Fixed: it is what notebooks show where there is no front end, and outputs are compared.
        return f"BlockFilm({len(self.frames)} steps)"


def _height(frame: Frame) -> float:
    return -(-len(frame.cells) // COLUMNS) * ROW


def _svg(inner: str, height: float, words: str) -> str:
    return (
        f"<svg viewBox='0 0 {WIDTH} {height:g}' role='img' aria-label='{escape(words)}' "
        f"xmlns='http://www.w3.org/2000/svg'>{inner}</svg>"
    )
