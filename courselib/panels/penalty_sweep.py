"""One penalty over its range, several seeds at each value: repetition against what it costs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import ipywidgets as widgets

from courselib.controls.code import openai_arguments
from courselib.controls.controls import Controls
from courselib.controls.route import Plan
from courselib.controls.routes import chat_route
from courselib.engines.server import Server
from courselib.errors import CourseError
from courselib.i18n import _
from courselib.panels.base import button
from courselib.panels.code_fold import CodeFold
from courselib.panels.figure import Picture
from courselib.panels.source import Asking
from courselib.panels.worker import Worker
from courselib.sampling.text_repetition import distinct, find_loops, repetition
from courselib.sampling.text_scripts import largest_drift
from courselib.stream import ChatStream, chat_messages
from courselib.text import spans

if TYPE_CHECKING:
    from courselib.panels.deploy import Deploy

# From off to what is plainly too much.
VALUES = {
    "repetition_penalty": (1.0, 1.05, 1.1, 1.2, 1.35, 1.5),
    "presence_penalty": (0.0, 0.25, 0.5, 1.0, 1.5, 2.0),
    "frequency_penalty": (0.0, 0.1, 0.25, 0.5, 1.0, 2.0),
    "dry_multiplier": (0.0, 0.25, 0.5, 1.0, 2.0, 4.0),
}
TEMPERATURE = 0.7


@dataclass(frozen=True)
class Point:
    """What was measured of one answer; ``logprob`` is the mean of its tokens', None where the engine tells none."""

    control: str
    value: float
    seed: int
    repetition: float
    distinct: float
    drift: float
    logprob: float | None
    loops: bool


class PenaltySweep(Asking):
    """A penalty from off to too much: the share said before, the variety, the drift and the mean log-probability.

    ``points`` keeps what was measured, of all runs with the same prompt; ``run`` measures and waits.

    Args:
        server: who answers: a server, or the desk (``Deploy``) that may start one.
        prompt: what is asked.
        control: which penalty, a name of ``VALUES``.
        seeds: answers at each value; the seeds are 1, 2, 3, …
        max_tokens: of each answer.
    """

    def __init__(
        self,
        server: Server | Deploy,
        *,
        prompt: str = "Write a poem about rain.",
        control: str = "frequency_penalty",
        seeds: int = 3,
        max_tokens: int = 96,
    ) -> None:
        super().__init__(_("Penalty sweep"), server, _("measured"), _("Measure"))
        self._stream: ChatStream | None = None
        self._worker = Worker(self.show_error, self._ended)
        self.max_tokens = max_tokens
        self.points: list[Point] = []
        self._prompt_measured = ""
        style = {"description_width": "80px"}
        self.prompt = widgets.Textarea(
            value=prompt, description=_("Prompt"), rows=2, style=style, layout=widgets.Layout(width="100%")
        )
        self.control = widgets.Dropdown(options=list(VALUES), value=control, description=_("control"), style=style)
        self.control.add_class("cl-control")
        self.seeds = widgets.IntSlider(value=seeds, min=1, max=5, description=_("seeds"), style=style)
        self.run_button = button(_("Measure"), "play", "cl-run", self._start)
        self.cancel_button = button(_("Cancel"), "times", "cl-cancel", self._cancel)
        self.cancel_button.disabled = True
        self.bar = widgets.IntProgress(value=0, min=0, max=1, layout=widgets.Layout(width="200px"))
        self.curve = widgets.VBox()
        self.code = CodeFold(title=_("The code of one of these answers"))
        self.control.observe(self._show, "value")
        for field in (self.control, self.prompt):
            field.observe(self._show_code, "value")
        if not isinstance(server, Server):
            server.observe(self._show_code, "server")
        row = widgets.Layout(flex_flow="row wrap", align_items="center")
        self.lay_out(
            self.prompt,
            widgets.HBox([self.control, self.seeds], layout=row),
            widgets.HBox([self.run_button, self.cancel_button, self.bar], layout=row),
            self.curve,
            self.code,
        )
        self._show_code()

    def _start(self, _button: object = None) -> None:
        if self._worker.busy:
            return
        self.show_error(None)
        if self.prompt.value != self._prompt_measured:
            self.points, self._prompt_measured = [], self.prompt.value
        self.run_button.disabled, self.cancel_button.disabled = True, False
        self.set_state_text(_("measuring"))
        self._worker.start(self._measure, on_cancel=self._break_off)

    def _measure(self) -> None:
        control, server = self.control.value, self.server
        known = {(point.control, point.value, point.seed) for point in self.points}
        wanted = [(value, seed) for seed in range(1, self.seeds.value + 1) for value in VALUES[control]]
        self.bar.max, self.bar.value = len(wanted), 0
        for value, seed in wanted:
            if (control, value, seed) not in known:
                point = self._answer(server, control, value, seed)
                if self._worker.cancelled.is_set():
                    return
                self.points.append(point)
                self._show()
            self.bar.value += 1

    def _plan(self, control: str, value: float, seed: int) -> Plan:
        controls = Controls(temperature=TEMPERATURE, seed=seed, max_tokens=self.max_tokens).with_(**{control: value})
        return chat_route(self.engine_name).plan(controls)

    def _show_code(self, _change: object = None) -> None:
        """The program of the strongest value's first answer, and whether the engine honours it."""
        control = self.control.value
        try:
            plan = self._plan(control, VALUES[control][-1], 1)
            self.show_call(self.code, plan, chat_messages(self.prompt.value))
            self.show_error(None)
        except CourseError as error:
            self.show_error(error)

    def _answer(self, server: Server, control: str, value: float, seed: int) -> Point:
        options = openai_arguments(self._plan(control, value, seed))
        messages = chat_messages(self._prompt_measured)
        self._stream = ChatStream(server, messages, **{**options, "logprobs": True, "top_logprobs": 1})
        tokens = list(self._stream)
        data = [token.data for token in tokens]
        known = [token.logprob for token in tokens if token.logprob is not None]
        return Point(
            control=control,
            value=value,
            seed=seed,
            repetition=repetition(data, 4),
            distinct=distinct(data, 2),
            drift=largest_drift(self._prompt_measured, [span.text for span in spans(data)]),
            logprob=fmean(known) if known else None,
            loops=bool(find_loops(data)),
        )

    def _break_off(self) -> None:
        if self._stream:
            self._stream.close()

    def _cancel(self, _button: object = None) -> None:
        self._worker.cancel()

    def _ended(self) -> None:
        self.run_button.disabled, self.cancel_button.disabled = False, True
        self.set_state_text(self._worker.outcome)

    def _here(self) -> dict[float, list[Point]]:
        """The points of the control chosen, by value."""
        found: dict[float, list[Point]] = {}
        for point in sorted(self.points, key=lambda each: each.value):
            if point.control == self.control.value:
                found.setdefault(point.value, []).append(point)
        return found

    def _show(self, _change: object = None) -> None:
        here = self._here()
        self.curve.children = (self._picture(here),) if here else ()

    def _picture(self, here: dict[float, list[Point]]) -> Picture:
        import plotly.graph_objects as go

        values = list(here)
        logprobs = [_mean_logprob(here[value]) for value in values]
        lines = {
            _("said before (4-grams)"): [fmean(point.repetition for point in here[value]) for value in values],
            _("distinct pairs per token"): [fmean(point.distinct for point in here[value]) for value in values],
            _("drift of scripts"): [fmean(point.drift for point in here[value]) for value in values],
            # As shares go from 0 to 1, so does this: on the same axis.
            _("probability of a token (geometric mean)"): [
                None if mean is None else math.exp(mean) for mean in logprobs
            ],
        }
        traces = [go.Scatter(x=values, y=shown, name=name, mode="lines+markers") for name, shown in lines.items()]
        return Picture(
            traces,
            table=self._table(here),
            title=_("{control}: repetition and its cure (measured)").format(control=self.control.value),
            xaxis={"title": self.control.value},
            yaxis={"title": _("share or probability"), "range": [-0.02, 1.02]},
            legend={"orientation": "h", "y": -0.25},
            height=380,
        )

    def _table(self, here: dict[float, list[Point]]) -> str:
        lines = []
        for value, points in here.items():
            logprob = _mean_logprob(points)
            lines.append(
                _("{value:g}: {n} answers, {loops} with loops, said before {said:.0%}, distinct-2 {distinct:.2f},")
                .format(value=value, n=len(points), loops=sum(point.loops for point in points),
                        said=fmean(point.repetition for point in points),
                        distinct=fmean(point.distinct for point in points))
                + _(" drift {drift:.0%}, log-probability {logprob}").format(
                    drift=fmean(point.drift for point in points), logprob="-" if logprob is None else f"{logprob:.2f}")
            )  # fmt: skip
        return "\n".join(lines)

    def run(self, timeout_s: float = 300) -> list[Point]:
        """Measure what was not measured yet, wait, and give the points; raises what went wrong."""
        self._start()
        self._worker.wait(timeout_s)
        return self.points

    def as_table(self) -> str:
        """The means at each value of the control chosen."""
        return f"{super().as_table()}\n{self._table(self._here())}"


def _mean_logprob(points: list[Point]) -> float | None:
    known = [point.logprob for point in points if point.logprob is not None]
    return fmean(known) if known else None
