"""Does it really? Tokens drawn by the live engine, laid over the distribution that they should come from."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets as widgets
import numpy as np
import traitlets

from courselib.controls.catalogue import REPETITION, SAMPLING
from courselib.controls.controls import Controls
from courselib.controls.route import Plan
from courselib.engines.server import Server
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.observe.draws import draw
from courselib.panels.base import button, escape
from courselib.panels.looking import Look, Looking, applied, look_at
from courselib.panels.next_token_view import text_of
from courselib.panels.view import STATIC, script
from courselib.panels.worker import Worker
from courselib.sampling import PIPELINES, Agreement, agreement, pipeline
from courselib.sampling.candidates import Floats

if TYPE_CHECKING:
    from courselib.panels.deploy import Deploy

# So many tokens are drawn with bars of their own; the rest are one bar.
ROWS = 16
NUMBERS = (500, 2_000, 10_000)
# Of 20 true shares, one lies outside its band (normal approximation of the binomial distribution).
BAND = 1.96
ROUNDING = 1e-9


class DoesItReallyView(anywidget.AnyWidget):
    """Predicted and observed shares as bars over each other.

    Traits:
        drawn: as ``picture`` makes it; empty before there is something to draw.
    """

    _esm = script("does_it_really.js")
    _css = STATIC / "does_it_really.css"
    drawn = traitlets.Dict().tag(sync=True)
    labels = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        labels = {
            "empty": _("Press Sample: the engine draws first tokens, and they fall onto the bars predicted for them."),
            "bars": _("Predicted and drawn"),
            "predicted": _("predicted (simulated)"),
            "drawn": _("drawn (measured)"),
            "band": _("where 95 % of true shares fall by chance"),
            "outside": _("impossible by the prediction"),
            "rest": _("all others"),
            "nothing": _("token {id}, without text"),
        }
        super().__init__(labels=labels)

    def __repr__(self) -> str:
        return "DoesItReallyView()"


class DoesItReally(Looking):
    """First tokens drawn by the live engine, beside what its own pipeline predicts, or another engine's.

    ``counts`` holds how often each token was drawn under the controls at hand, ``predicted`` the distribution, and
    ``result`` the chi-square test of the one against the other. Draws are kept for every prompt and setting.

    Args:
        server: who draws: a server, or the desk (``Deploy``) that may start one.
        prompt: the text to go on from, special tokens in it recognised.
        controls: what the form holds at first; of its lengths nothing is shown, for one token is drawn.
    """

    def __init__(
        self, server: Server | Deploy, *, prompt: str = "The weather today is", controls: Controls | None = None
    ) -> None:
        super().__init__(
            _("Does it really?"), server, _("draws measured, prediction simulated"), _("Sample"),
            prompt=prompt, controls=controls, groups=(SAMPLING, REPETITION),
        )  # fmt: skip
        self._worker = Worker(self.show_error, self._ended)
        self._draws: dict[tuple[str, Controls], Counter[int]] = {}
        self.predicted: Floats | None = None
        self.result: Agreement | None = None
        self.number = _dropdown(_("Draw"), [(f"{n:,}", n) for n in NUMBERS], "cl-number", "150px")
        rivals = [(name, name) for name in PIPELINES if name != self.engine_name]
        own = (_("its own ({engine})").format(engine=self.engine_name), "")
        self.order = _dropdown(_("Predict with the order of"), [own, *rivals], "cl-order", "370px")
        self.sample_button = button(_("Sample"), "tint", "cl-sample", self._start)
        self.cancel_button = button(_("Cancel"), "times", "cl-cancel", self._cancel)
        self.cancel_button.disabled = True
        self.progress = widgets.IntProgress(value=0, min=0, max=1, layout=widgets.Layout(width="180px"))
        self.view = DoesItReallyView()
        self.verdict = widgets.HTML()
        self.verdict.add_class("cl-verdict")
        for field in (self.prompt, self.order):
            field.observe(self._changed, "value")
        row = widgets.Layout(flex_flow="row wrap")
        choices = widgets.HBox([self.number, self.order], layout=row)
        buttons = widgets.HBox([self.sample_button, self.cancel_button, self.progress], layout=row)
        self.lay_out(self.prompt, self.form, choices, buttons, self.verdict, self.view, self.code)
        self.redraw()

    @property
    def counts(self) -> Counter[int]:
        """How often each token was drawn after this prompt under these controls.

        Raises:
            SettingsError: the form holds what is no value of a control.
        """
        return self._draws.get((self.prompt.value, self.form.controls), Counter())

    def _draw(self, plan: Plan) -> None:
        self.predicted = self.result = None
        look, counts = self._look, self.counts
        if look is None or look.prompt != self.prompt.value:
            self.view.drawn, self.verdict.value = {}, ""
            return
        # Another order is tried on the values that apply here: the engines' defaults differ, too, and are not meant.
        chosen = pipeline(self.order.value or self.engine_name, applied(plan), look.context)
        self.predicted = chosen.probabilities(look.told.logits)
        self.view.drawn = picture(look, self.predicted, counts)
        if counts:
            self.result = agreement(counts, self.predicted)
        lacking = [name for name in chosen.ignored if getattr(plan.controls, name) is not None]
        self.verdict.value = _said(self.result, chosen.engine, [*chosen.notes, *_lacking(lacking)])

    @property
    def _code_notes(self) -> list[str]:
        return [_("The panel makes this call again and again, without a seed.")]

    def _start(self, _button: object = None) -> None:
        if self._worker.busy:
            return
        self.sample_button.disabled, self.cancel_button.disabled = True, False
        self.progress.value, self.progress.max = 0, self.number.value
        self.set_state_text(_("drawing"))
        self._worker.start(self._sample)

    def _sample(self) -> None:
        server, prompt, controls = self.server, self.prompt.value, self.form.controls
        if self._look is None or self._look.prompt != prompt:
            self._look = look_at(server, prompt)
        if self._look.told.remainder:
            raise SettingsError(
                _(
                    "This engine tells only the {n} likeliest tokens, too few to predict from; use a llama.cpp server,"
                    " or vLLM started with max_logprobs=-1."
                ).format(n=int(np.isfinite(self._look.told.logprobs).sum()))
            )
        counts = self._draws.setdefault((prompt, controls), Counter())
        try:
            for some in draw(server, prompt, controls, self.number.value):
                counts.update(some)
                self.progress.value += some.total()
                self._shown.touch()
                if self._worker.cancelled.is_set():
                    break
        finally:
            self._shown.touch()
            self._shown.flush()

    def _cancel(self, _button: object = None) -> None:
        self._worker.cancel()

    def _ended(self) -> None:
        self.sample_button.disabled, self.cancel_button.disabled = False, True
        self.set_state_text(self._worker.outcome)

    def sample(self, n: int = NUMBERS[0], timeout_s: float = 300) -> Agreement:
        """Draw ``n`` tokens (one of ``NUMBERS``), wait, and test all that were drawn so far; raises what went wrong."""
        self.number.value = n
        self._start()
        self._worker.wait(timeout_s)
        self._shown.flush()
        if self.result is None:
            raise SettingsError(_("Nothing can be compared under these controls; the panel says why."))
        return self.result

    def as_table(self) -> str:
        """Prediction, draws and verdict as plain text."""
        self._shown.flush()
        lines = [super().as_table()]
        for row in self.view.drawn.get("rows", []):
            mark = f"  {self.view.labels['outside']}" if row["outside"] else ""
            shown = self.view.labels["rest"] if row["id"] is None else repr(row["text"])
            lines.append(f"{shown:<20}{row['predicted']:>9.2%}{row['drawn']:>9.2%}{mark}")
        return "\n".join([*lines, *([self.result.verdict] if self.result else [])])


def picture(look: Look, predicted: Floats, counts: Counter[int]) -> dict[str, Any]:
    """What the page draws.

    Returns:
        ``n``, the number of draws, and ``rows``: the tokens of most weight, likeliest first, then all others as one;
        each with its predicted and drawn share, the band about the prediction in which 95 % of true shares fall, and
        whether it was drawn although the prediction calls it impossible.
    """
    n = counts.total()
    drawn = np.zeros(predicted.size)
    if n:
        drawn[list(counts)] = np.array(list(counts.values())) / n
    weight = np.maximum(predicted, drawn)
    ids = np.argpartition(-weight, min(ROWS, weight.size) - 1)[:ROWS]
    ids = ids[weight[ids] > 0]
    ids = ids[np.lexsort((ids, -drawn[ids], -predicted[ids]))]
    rows = [_row(int(token), text_of(look.told, int(token)), predicted[token], drawn[token], n) for token in ids]
    others = [max(0.0, float(shares.sum() - shares[ids].sum())) for shares in (predicted, drawn)]
    if max(others) > ROUNDING:
        rows.append(_row(None, "", others[0], others[1], n))
    return {"n": n, "rows": rows}


def _row(token: int | None, text: str, predicted: float, drawn: float, n: int) -> dict[str, Any]:
    spread = BAND * math.sqrt(predicted * (1 - predicted) / n) if n else 0.0
    return {
        "id": token,
        "text": text,
        "predicted": float(predicted),
        "drawn": float(drawn),
        "band": [max(0.0, predicted - spread), min(1.0, predicted + spread)] if n else None,
        "outside": bool(predicted <= 0 < drawn),
    }


def _lacking(ignored: list[str]) -> list[str]:
    return [_("It has no {control}: that is left out.").format(control=control) for control in ignored]


def _said(result: Agreement | None, engine: str, notes: list[str]) -> str:
    """The verdict, by a sign as well as by words, and what is to be said of the prediction."""
    head = _("Predicted with {engine}'s stages in {engine}'s order.").format(engine=engine)
    said = "".join(f"<div class='cl-quiet'>{escape(note)}</div>" for note in [head, *notes])
    if result is None:
        return said
    sign = "✓" if result.agrees else "✕"
    return f"<div role='status'><b>{sign} {escape(result.verdict)}</b></div>{said}"


def _dropdown(label: str, options: list[tuple[str, Any]], css: str, width: str) -> widgets.Dropdown:
    chooser = widgets.Dropdown(
        options=options,
        description=label,
        style={"description_width": "initial"},
        layout=widgets.Layout(width=width, max_width="100%"),
    )
    chooser.add_class(css)
    return chooser
