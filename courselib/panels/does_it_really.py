"""Does it really? Tokens drawn by the live engine, laid over the distribution that they should come from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import anywidget
import ipywidgets as widgets
import numpy as np
import traitlets

from courselib.controls.catalogue import REPETITION, SAMPLING
from courselib.controls.route import Plan
from courselib.errors import SettingsError
from courselib.i18n import N_, _
from courselib.observe.draws import draw
from courselib.panels.asked import Asked
from courselib.panels.base import escape
from courselib.panels.experiment import Experiment
from courselib.panels.fields import Choice, Text, Whole
from courselib.panels.looking import Look, applied, look_at, one_token
from courselib.panels.next_token_view import text_of
from courselib.panels.packed import pack_look, unpack_look
from courselib.panels.run import Run
from courselib.panels.server_facts import ServerFacts
from courselib.panels.still import bars, percent, token
from courselib.panels.view import STATIC, script
from courselib.sampling import PIPELINES, Agreement, agreement, pipeline
from courselib.sampling.candidates import Floats

# So many tokens are drawn with bars of their own; the rest are one bar.
ROWS = 16
# Of 20 true shares, one lies outside its band (normal approximation of the binomial distribution).
BAND = 1.96
ROUNDING = 1e-9
# A run is shown at most so many times: one of 500 draws, shown at each, takes 1 MB of messages to the page.
MOST_DRAWN = 100


class DoesItReallyView(anywidget.AnyWidget):
    """Predicted and observed shares as bars over each other.

    Traits:
        drawn: as ``picture`` makes it, and the ``verdict``, which is spoken; empty before there is something to draw.
    """

    _esm = script("does_it_really.js")
    _css = STATIC / "does_it_really.css"
    drawn = traitlets.Dict().tag(sync=True)
    labels = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        labels = {
            "empty": _("Press Sample: the engine draws first tokens, and they fall onto the bars predicted for them."),
            "token": _("token"),
            "bars": _("Predicted and drawn"),
            "remark": _("remark"),
            "predicted": _("predicted (simulated)"),
            "drawn": _("drawn (measured)"),
            "band": _("where 95 % of random draws fall"),
            "outside": _("impossible according to the prediction"),
            "rest": _("all others"),
            "nothing": _("token {id}, without text"),
        }
        super().__init__(labels=labels)

    def __repr__(self) -> str:
        return "DoesItReallyView()"


@dataclass(frozen=True, eq=False)
class Draws:
    """What was drawn so far under one setting; never changed.

    Args:
        look: what the engine said of the same prompt.
        counts: how often each token was drawn, by its id.
    """

    look: Look
    counts: Counter[int]


class DoesItReally(Experiment):
    """First tokens drawn by the live engine, beside what its own pipeline predicts, or another engine's.

    ``result`` holds the draws under the inputs at hand, ``predicted`` the distribution and ``agreement`` the chi-square
    test of the one against the other. Draws are kept: sampling again adds to them.

    Args:
        source: who draws: a server, or the panel (``Deploy``) that may start one.
        controls: what the form holds at first; of its lengths nothing is shown, for one token is drawn.
        values: inputs: ``prompt`` (special tokens in it are recognised), ``number``, ``order``.
    """

    heading, origin_words, press = N_("Does it really?"), N_("draws measured, prediction simulated"), N_("Sample")
    at_work, icon = N_("drawing"), "tint"
    groups = (SAMPLING, REPETITION)

    prompt = Text("The weather today is", label=N_("Prompt"))
    number = Whole(500, low=1, high=100_000, sent=False, label=N_("Draw"), help=N_("how many tokens are drawn"))
    order = Choice(
        ["", *PIPELINES], sent=False, names={"": N_("its own")}, label=N_("Order of"),
        help=N_("the engine by whose stages, in whose order, the shares are predicted"),
    )  # fmt: skip

    def make_view(self) -> widgets.VBox:
        """The verdict above the bars."""
        self.predicted: Floats | None = None
        self._agreement: Agreement | None = None
        self.verdict = widgets.HTML()
        self.verdict.add_class("cl-verdict")
        self.bars = DoesItReallyView()
        return widgets.VBox([self.verdict, self.bars])

    @property
    def counts(self) -> Counter[int]:
        """How often each token was drawn under the inputs at hand."""
        self._drawing.flush()
        return Counter(self.result.counts) if self.result else Counter()

    @property
    def agreement(self) -> Agreement | None:
        """The draws against the prediction as it stands, once they have come to an end; ``None`` without any."""
        self._drawing.flush()
        return self._agreement if self.result else None  # what is shown of another server is no answer to this

    def call(self, asked: Asked, facts: ServerFacts) -> tuple[Plan, str]:
        """That of a single draw."""
        return self._plan(asked, (facts.defaults, facts.origin)), asked.prompt

    def _plan(self, asked: Asked, defaults: tuple[Mapping[str, Any], str]) -> Plan:
        assert asked.controls is not None
        return one_token(self.engine_name, asked.controls, defaults)

    def notes(self, plan: Plan, asked: Asked) -> list[str]:  # noqa: ARG002
        """It draws many."""
        return [*plan.notes, _("The panel makes this call again and again, without a seed.")]

    def measure(self, run: Run) -> Iterator[Draws]:
        """Draws, added to those there are; the engine is looked at once a prompt."""
        assert run.asked.controls is not None
        before = run.before or self.known(run.asked)
        look = before.look if before else look_at(run.server, run.asked.prompt)
        if look.told.remainder:
            raise SettingsError(
                _(
                    "This engine returns only the {n} most likely tokens, too few to predict from; use a llama.cpp"
                    " server, or vLLM started with max_logprobs=-1."
                ).format(n=int(np.isfinite(look.told.logprobs).sum()))
            )
        counts, wanted, done, shown = Counter(before.counts if before else ()), self.number, 0, 0
        for some in draw(run.server, run.asked.prompt, run.asked.controls, wanted):
            done += some.total()
            counts = counts + some
            if done >= wanted or run.cancelled or done - shown >= wanted / MOST_DRAWN:
                shown = done
                run.progress(done, wanted)
                yield Draws(look, counts)

    def known(self, asked: Asked) -> Draws | None:
        """The prediction can be shown for controls of which nothing was drawn yet, once the prompt was looked at."""
        found = self._kept.first(lambda kept: (kept.server, kept.prompt) == (asked.server, asked.prompt))
        return Draws(found.look, Counter()) if found else None

    def draw(self, result: Draws | None, asked: Asked) -> None:
        """Bars, and the verdict once the draws have ended: a test repeated while they come fails by chance."""
        self.predicted = self._agreement = None
        if result is None:
            self.bars.drawn, self.verdict.value = {}, ""
            return
        plan = self._plan(asked, result.look.defaults)
        # Another order is tried on the values that apply here: the engines' defaults differ, too, and are not meant.
        chosen = pipeline(self.order or self.engine_name, applied(plan), result.look.context)
        self.predicted = chosen.probabilities(result.look.told.logits)
        if result.counts and not self.is_busy:
            self._agreement = agreement(result.counts, self.predicted)
        verdict = self._agreement.verdict if self._agreement else ""
        self.bars.drawn = {**picture(result.look, self.predicted, result.counts), "verdict": verdict}
        lacking = [name for name in chosen.ignored if getattr(plan.controls, name) is not None]
        self.verdict.value = _said(self._agreement, chosen.engine, [*chosen.notes, *_lacking(lacking)])

    def lines(self, result: Draws, asked: Asked) -> list[str]:  # noqa: ARG002
        """Prediction, draws and verdict as plain text."""
        lines = []
        for row in self.bars.drawn.get("rows", []):
            mark = f"  {self.bars.labels['outside']}" if row["outside"] else ""
            shown = self.bars.labels["rest"] if row["id"] is None else repr(row["text"])
            lines.append(f"{shown:<20}{row['predicted']:>9.2%}{row['drawn']:>9.2%}{mark}")
        return [*lines, *([self._agreement.verdict] if self._agreement else [])]

    def pack(self, result: Draws) -> dict[str, Any]:
        """What the engine told, and how often it drew what."""
        return {"look": pack_look(result.look, result.counts), "counts": sorted(result.counts.items())}

    def unpack(self, packed: Any) -> Draws:
        """The draws again."""
        look = unpack_look(packed["look"])
        counts = Counter({int(token): int(n) for token, n in packed["counts"]})
        if any(not 0 <= token < look.told.logprobs.size or n < 1 for token, n in counts.items()):
            raise ValueError("a token that there is not")
        return Draws(look, counts)

    def still(self, result: Draws, asked: Asked, caption: str) -> dict[str, str]:  # noqa: ARG002
        """Predicted and drawn shares as a table."""
        rows = []
        for row in self.bars.drawn.get("rows", [])[:ROWS]:
            name = self.bars.labels["rest"] if row["id"] is None else token(row["text"])
            rows.append((name, row["drawn"], [percent(row["drawn"]), percent(row["predicted"])]))
        verdict = f" · {self._agreement.verdict}" if self._agreement else ""
        heads = (_("token"), "", self.bars.labels["drawn"], self.bars.labels["predicted"])
        return bars(f"{caption}{verdict}", heads, rows)

    def sample(self, n: int | None = None, timeout_s: float = 300) -> Agreement:
        """Draw ``n`` tokens more, wait, and test all that were drawn; raises what went wrong."""
        if n is not None:
            self.number = n
        self.run(timeout_s)
        if self.agreement is None:
            raise SettingsError(_("Nothing can be compared under these controls; the panel shows why."))
        return self.agreement


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
    return [_("It has no {control}, which is left out.").format(control=control) for control in ignored]


def _said(result: Agreement | None, engine: str, notes: list[str]) -> str:
    """The verdict, by a sign as well as by words, and what is to be said of the prediction."""
    head = _("Predicted with {engine}'s stages in {engine}'s order.").format(engine=engine)
    said = "".join(f"<div class='cl-quiet'>{escape(note)}</div>" for note in [head, *notes])
    if result is None:
        return said
    sign = "✓" if result.agrees else "✕"
    return f"<div><b>{sign} {escape(result.verdict)}</b></div>{said}"
