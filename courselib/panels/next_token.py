"""Next token: what an engine makes of one row of logits under the controls at hand, stage by stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from courselib.controls.catalogue import REPETITION, RESULT, SAMPLING
from courselib.controls.route import Plan
from courselib.errors import SettingsError
from courselib.i18n import N_, _
from courselib.observe import logits
from courselib.panels.asked import Asked
from courselib.panels.experiment import Experiment
from courselib.panels.fields import Choice, Text
from courselib.panels.looking import Look, applied, look_at, one_token, tail
from courselib.panels.next_token_view import NextTokenView, picture, table
from courselib.panels.packed import pack_look, unpack_look
from courselib.panels.run import Run
from courselib.panels.server_facts import ServerFacts
from courselib.panels.still import ROWS, bars, percent, token
from courselib.sampling import PIPELINES, Outcome, pipeline


class NextToken(Experiment):
    """The candidates for the next token under the controls at hand, and what each stage of the engine does to them.

    The engine is asked for its logits once; what the controls make of them is then computed here, in about three
    milliseconds for 49,152 tokens. ``result`` is what the engine told (``Look``), ``outcome`` what its stages make of
    it, and ``rival`` what those of the engine chosen in ``duel`` would.

    Args:
        source: who answers: a server, or the panel (``Deploy``) that may start one.
        controls: what the form holds at first; of its lengths nothing is shown, for one token is drawn.
        values: inputs: ``prompt`` (special tokens in it are recognised), ``duel`` (an engine's name, or nothing).
    """

    heading, origin_words, press = N_("Next token"), N_("logits measured, stages simulated"), N_("Look")
    at_work, icon = N_("looking"), "search"
    groups = (SAMPLING, REPETITION, RESULT)
    sends_controls = False

    prompt = Text("The weather today is", label=N_("Prompt"))
    duel = Choice(
        ["", *PIPELINES], sent=False, names={"": N_("none")}, label=N_("Order duel with"),
        help=N_("the engine whose stages, in whose order, are tried on the same logits"),
    )  # fmt: skip

    def make_view(self) -> NextTokenView:
        """Stages and bars."""
        self._made: tuple[Outcome, Outcome | None] | None = None
        return NextTokenView()

    @property
    def told(self) -> logits.NextToken | None:
        """What the engine told after the prompt at hand."""
        self._drawing.flush()
        return self.result.told if self.result else None

    @property
    def outcome(self) -> Outcome | None:
        """What the engine's stages make of what it told, under the controls as they are now."""
        self._drawing.flush()
        return self._made[0] if self._made and self.result else None  # what another server told is no answer to this

    @property
    def rival(self) -> Outcome | None:
        """What the stages of the engine chosen in ``duel`` make of the same."""
        self._drawing.flush()
        return self._made[1] if self._made and self.result else None

    def call(self, asked: Asked, facts: ServerFacts) -> tuple[Plan, str]:
        """That of one token."""
        return self._plan((facts.defaults, facts.origin)), asked.prompt

    def _plan(self, defaults: tuple[Mapping[str, Any], str]) -> Plan:
        assert self.form
        return one_token(self.engine_name, self.form.controls, defaults)

    def measure(self, run: Run) -> Iterator[Look]:
        """One look."""
        yield look_at(run.server, run.asked.prompt)

    def draw(self, result: Look | None, asked: Asked) -> None:  # noqa: ARG002
        """What the controls make of it; where they make nothing, the picture stays."""
        self._made = None
        if result is None:
            self.view.drawn = {}
            return
        assert self.form
        outcome = pipeline(self.engine_name, applied(self._plan(result.defaults)), result.context).run(
            result.told.logits
        )
        rival = None
        if self.duel:
            rival = pipeline(self.duel, self.form.controls, result.context).run(result.told.logits)
        self.view.drawn = {"after": tail(result.prompt), **picture(result.told, result.own, outcome, rival)}
        self._made = outcome, rival

    def lines(self, result: Look, asked: Asked) -> list[str]:  # noqa: ARG002
        """Stages, candidates and what is to be said of both; nothing where the controls make nothing of them."""
        return table(self.view.drawn).splitlines() if self._made else []

    def pack(self, result: Look) -> dict[str, Any]:
        """What the engine told."""
        return pack_look(result)

    def unpack(self, packed: Any) -> Look:
        """The look again."""
        return unpack_look(packed)

    def still(self, result: Look, asked: Asked, caption: str) -> dict[str, str]:  # noqa: ARG002
        """The likeliest tokens as a table."""
        drawn = self.view.drawn
        if not self._made:
            return {}

        def cells(row: dict[str, Any]) -> list[str]:
            struck = "" if row["struck"] is None else f"✕ {drawn['stages'][row['struck']]['name']}"
            return [percent(row["now"]), percent(row["own"]), struck]

        heads = (f"{drawn['after']} …", "", drawn["engine"], _("the model's own"), _("struck out by"))
        return bars(caption, heads, [(token(row["text"]), row["now"], cells(row)) for row in drawn["rows"][:ROWS]])

    def look(self, timeout_s: float = 120) -> Outcome:
        """Ask the engine for its logits, wait, and give what the controls make of them; raises what went wrong."""
        self.run(timeout_s)
        if self.outcome is None:
            raise SettingsError(_("Nothing can be drawn under these controls; the panel shows why."))
        return self.outcome
