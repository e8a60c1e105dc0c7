"""Next token: what an engine makes of one row of logits under the controls at hand, stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets

from courselib.controls.catalogue import REPETITION, RESULT, SAMPLING
from courselib.controls.controls import Controls
from courselib.controls.route import Plan
from courselib.engines.server import Server
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.observe import logits
from courselib.panels.base import button, escape
from courselib.panels.looking import Looking, applied, look_at
from courselib.panels.next_token_view import NextTokenView, picture, table
from courselib.panels.worker import Worker
from courselib.sampling import PIPELINES, Outcome, pipeline

if TYPE_CHECKING:
    from courselib.panels.deploy import Deploy


class NextToken(Looking):
    """The candidates for the next token under the controls at hand, and what each stage of the engine does to them.

    ``look`` asks the engine for its logits, once; what the controls make of them is then computed here, in about three
    milliseconds for 49,152 tokens. ``outcome`` is that, and ``rival`` what the engine chosen in ``duel`` would make of
    the same. ``view`` is the picture, ``form`` the controls, ``code`` the programs that draw one token.

    Args:
        server: who answers: a server, or the desk (``Deploy``) that may start one.
        prompt: the text to go on from, special tokens in it recognised.
        controls: what the form holds at first; of its lengths nothing is shown, for one token is drawn.
    """

    def __init__(
        self, server: Server | Deploy, *, prompt: str = "The weather today is", controls: Controls | None = None
    ) -> None:
        super().__init__(
            _("Next token"), server, _("logits measured, stages simulated"), _("Look"),
            prompt=prompt, controls=controls, groups=(SAMPLING, REPETITION, RESULT),
        )  # fmt: skip
        self._worker = Worker(self.show_error, self._ended)
        self._outcome: Outcome | None = None
        self._rival: Outcome | None = None
        self.look_button = button(_("Look"), "search", "cl-look", self._start)
        engines = [(_("nobody"), ""), *((name, name) for name in PIPELINES if name != self.engine_name)]
        self.duel = widgets.Dropdown(
            options=engines, value="", description=_("Order duel with"), style={"description_width": "initial"}
        )
        self.duel.add_class("cl-duel")
        self.about = widgets.HTML()
        self.about.add_class("cl-about")
        self.view = NextTokenView()
        self.prompt.observe(self._other_prompt, "value")
        self.duel.observe(self._changed, "value")
        buttons = widgets.HBox([self.look_button, self.duel], layout=widgets.Layout(flex_flow="row wrap"))
        self.lay_out(self.prompt, buttons, self.form, self.about, self.view, self.code)
        self.redraw()

    @property
    def told(self) -> logits.NextToken | None:
        """What the engine told when it was looked at."""
        return self._look.told if self._look else None

    @property
    def outcome(self) -> Outcome | None:
        """What the engine's stages make of what it told, under the controls as they are now."""
        self._shown.flush()
        return self._outcome

    @property
    def rival(self) -> Outcome | None:
        """What the stages of the engine chosen in ``duel`` make of the same."""
        self._shown.flush()
        return self._rival

    def _draw(self, plan: Plan) -> None:
        look = self._look
        if look is None:
            return
        self._outcome = self._rival = None  # the picture stays, should there be nothing new to draw
        outcome = pipeline(self.engine_name, applied(plan), look.context).run(look.told.logits)
        rival = None
        if self.duel.value:
            rival = pipeline(self.duel.value, self.form.controls, look.context).run(look.told.logits)
        self.view.drawn = picture(look.told, look.own, outcome, rival)
        self._outcome, self._rival = outcome, rival

    def _other_prompt(self, _change: object = None) -> None:
        if self._look:
            self.set_state_text(_("another prompt: press Look"))
        self._shown.touch()

    def _start(self, _button: object = None) -> None:
        if self._worker.busy:
            return
        self.look_button.disabled = True
        self.set_state_text(_("looking"))
        self._worker.start(self._ask)

    def _ask(self) -> None:
        prompt = self.prompt.value
        self._look = look_at(self.server, prompt)
        self._shown.touch()
        self._shown.flush()
        self.about.value = _("After {prompt}:").format(prompt=f"<b>“{escape(_tail(prompt))}”</b>")

    def _ended(self) -> None:
        self.look_button.disabled = False
        self.set_state_text(_("failed") if self._worker.error else _("done"))

    def look(self, timeout_s: float = 120) -> Outcome:
        """Ask the engine for its logits, wait, and give what the controls make of them; raises what went wrong."""
        self._start()
        self._worker.wait(timeout_s)
        if self.outcome is None:
            raise SettingsError(_("Nothing can be drawn under these controls; the panel says why."))
        return self.outcome

    def as_table(self) -> str:
        """Stages, candidates and what is to be said of both, as plain text."""
        self._shown.flush()
        return f"{super().as_table()}\n{table(self.view.drawn) if self.view.drawn else self.view.labels['empty']}"


def _tail(prompt: str, most: int = 60) -> str:
    return prompt if len(prompt) <= most else f"…{prompt[-most:]}"
