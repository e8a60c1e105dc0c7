"""One penalty over its range, several seeds at each value: repetition against what it costs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import ipywidgets as widgets

from courselib.answers.stream import ChatStream, chat_messages
from courselib.answers.text import spans
from courselib.controls.code import openai_arguments
from courselib.controls.controls import Controls
from courselib.controls.route import Plan
from courselib.controls.routes import chat_route
from courselib.i18n import N_, _
from courselib.panels.asked import Asked
from courselib.panels.experiment import Experiment
from courselib.panels.fields import Choice, Text, Whole
from courselib.panels.lines import Curve, lines_svg
from courselib.panels.run import Run
from courselib.panels.server_facts import ServerFacts
from courselib.panels.still import framed
from courselib.sampling.text_repetition import distinct, find_loops, repetition
from courselib.sampling.text_scripts import largest_drift

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

    value: float
    seed: int
    repetition: float
    distinct: float
    drift: float
    logprob: float | None
    loops: bool


class PenaltySweep(Experiment):
    """A penalty from off to too much: the share said before, the variety, the drift and the mean log-probability.

    ``result`` is a tuple of ``Point``; ``run`` measures and waits. What was measured is kept: more seeds add to it.

    Args:
        source: who answers: a server, or the panel (``Deploy``) that may start one.
        values: inputs: ``prompt``, ``control`` (a name of ``VALUES``), ``seeds``, ``max_tokens``.
    """

    heading, origin_words, press = N_("Penalty sweep"), N_("measured"), N_("Measure")
    code_title = N_("The code of one of these answers")
    chats = True

    prompt = Text("Write a poem about rain.", label=N_("Prompt"))
    control = Choice(list(VALUES), default="frequency_penalty", help=N_("the penalty that is varied"))
    # More seeds add answers to those there are.
    seeds = Whole(3, low=1, high=5, sent=False, help=N_("answers at each value, with the seeds 1, 2, 3, …"))
    max_tokens = Whole(96, low=1, high=512, help=N_("the longest answer, in tokens"))

    def make_view(self) -> widgets.HTML:
        """The curves."""
        return widgets.HTML()

    def call(self, asked: Asked, facts: ServerFacts) -> tuple[Plan, list[dict[str, str]]]:  # noqa: ARG002
        """That of the strongest value's first answer."""
        return self._plan(asked, VALUES[asked.control][-1], 1), chat_messages(asked.prompt or _("Hello"))

    def _plan(self, asked: Asked, value: float, seed: int) -> Plan:
        controls = Controls(temperature=TEMPERATURE, seed=seed, max_tokens=asked.max_tokens)
        return chat_route(self.engine_name).plan(controls.with_(**{asked.control: value}))

    def measure(self, run: Run) -> Iterator[tuple[Point, ...]]:
        """One answer for each value and seed that there is none of yet."""
        points: tuple[Point, ...] = run.before or ()
        known = {(point.value, point.seed) for point in points}
        wanted = [(value, seed) for seed in range(1, self.seeds + 1) for value in VALUES[run.asked.control]]
        for done, (value, seed) in enumerate(wanted):
            run.progress(done, len(wanted))
            if (value, seed) not in known:
                point = self._answer(run, value, seed)
                if run.cancelled:
                    return
                points = (*points, point)
                yield points

    def _answer(self, run: Run, value: float, seed: int) -> Point:
        options = openai_arguments(self._plan(run.asked, value, seed))
        messages = chat_messages(run.asked.prompt)
        stream = ChatStream(run.server, messages, **{**options, "logprobs": True, "top_logprobs": 1})
        run.breaks_off(stream.close)
        tokens = list(stream)
        data = [token.data for token in tokens]
        known = [token.logprob for token in tokens if token.logprob is not None]
        return Point(
            value=value,
            seed=seed,
            repetition=repetition(data, 4),
            distinct=distinct(data, 2),
            drift=largest_drift(run.asked.prompt, [span.text for span in spans(data)]),
            logprob=fmean(known) if known else None,
            loops=bool(find_loops(data)),
        )

    def draw(self, result: Any, asked: Asked) -> None:
        """The means at each value, as curves."""
        self.view.value = "" if result is None else _picture(_by_value(result), asked.control)

    def lines(self, result: Any, asked: Asked) -> list[str]:  # noqa: ARG002
        """The means at each value, as text."""
        return [_line(value, points) for value, points in _by_value(result).items()]

    def pack(self, result: tuple[Point, ...]) -> list[dict[str, Any]]:
        """The points."""
        return [asdict(point) for point in result]

    def unpack(self, packed: Any) -> tuple[Point, ...]:
        """The points again."""
        return tuple(map(_point, packed))

    def still(self, result: Any, asked: Asked, caption: str) -> dict[str, str]:  # noqa: ARG002
        """The curves."""
        return framed(self.view.value, caption)


def _point(packed: dict[str, Any]) -> Point:
    numbers = {name: float(packed[name]) for name in ("value", "repetition", "distinct", "drift")}
    logprob = None if packed["logprob"] is None else float(packed["logprob"])
    if not all(map(math.isfinite, (*numbers.values(), logprob or 0.0))):
        raise ValueError("a point without a place")
    return Point(seed=int(packed["seed"]), logprob=logprob, loops=bool(packed["loops"]), **numbers)


def _by_value(points: tuple[Point, ...]) -> dict[float, list[Point]]:
    found: dict[float, list[Point]] = {}
    for point in sorted(points, key=lambda each: each.value):
        found.setdefault(point.value, []).append(point)
    return found


def _picture(points: dict[float, list[Point]], control: str) -> str:
    def means(of: str) -> list[tuple[float, float | None]]:
        return [(value, fmean(getattr(point, of) for point in some)) for value, some in points.items()]

    logprobs = [(value, _mean_logprob(some)) for value, some in points.items()]
    curves = [
        Curve(_("repeated 4-grams"), means("repetition")),
        Curve(_("distinct pairs per token"), means("distinct")),
        Curve(_("drift of scripts"), means("drift")),
        # As shares go from 0 to 1, so does this: on the same axis.
        Curve(
            _("probability of a token (geometric mean)"),
            [(value, None if mean is None else math.exp(mean)) for value, mean in logprobs],
        ),
    ]
    title = _("{control}: repetition and its cure (measured)").format(control=control)
    return lines_svg(curves, title=title, x=control, y=_("share or probability"), span=(0.0, 1.0))


def _line(value: float, points: list[Point]) -> str:
    logprob = _mean_logprob(points)
    return _(
        "{value:g}: {n} answers, {loops} with loops, repeated {said:.0%}, distinct-2 {distinct:.2f},"
        " drift {drift:.0%}, log-probability {logprob}"
    ).format(
        value=value,
        n=len(points),
        loops=sum(point.loops for point in points),
        said=fmean(point.repetition for point in points),
        distinct=fmean(point.distinct for point in points),
        drift=fmean(point.drift for point in points),
        logprob="-" if logprob is None else f"{logprob:.2f}",
    )


def _mean_logprob(points: list[Point]) -> float | None:
    known = [point.logprob for point in points if point.logprob is not None]
    return fmean(known) if known else None
