"""Next token: what an engine makes of one row of logits under the controls at hand, stage by stage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from courselib.controls.catalogue import REPETITION, RESULT, SAMPLING
from courselib.controls.code import programs
from courselib.controls.controls import Controls
from courselib.controls.route import Plan
from courselib.controls.routes import ROUTES, routes_of
from courselib.engines.server import Server
from courselib.errors import CourseError, SettingsError, Unreachable
from courselib.i18n import _
from courselib.observe import logits
from courselib.observe.effective import server_defaults
from courselib.panels.base import Panel, button, escape
from courselib.panels.code_fold import CodeFold
from courselib.panels.controls_form import ControlsForm
from courselib.panels.next_token_view import NextTokenView, picture, table
from courselib.panels.worker import Coalescer, Worker
from courselib.sampling import PIPELINES, Context, Outcome, breakers_within, pipeline
from courselib.sampling.candidates import Floats

if TYPE_CHECKING:
    from courselib.panels.deploy import Deploy

# vLLM is asked for the texts of so many of the likeliest: more than are drawn, since a control may lift others.
NAMED = 100


@dataclass(frozen=True, eq=False)
class Look:
    """What one look at an engine gave.

    Args:
        prompt: what was asked.
        told: the engine's answer.
        own: the model's own probabilities, shape (vocabulary,), 0 where they were not told.
        context: the prompt's tokens, for penalties and DRY.
    """

    prompt: str
    told: logits.NextToken
    own: Floats
    context: Context


class NextToken(Panel):
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
        super().__init__(_("Next token"), server.engine_name, _("logits measured, stages simulated"))
        self._source = server
        self._worker = Worker(self.show_error, self._ended)
        self._shown = Coalescer(self.redraw)
        self._look: Look | None = None
        self._defaults: tuple[dict[str, Any], str] = ({}, "")
        self._outcome: Outcome | None = None
        self._rival: Outcome | None = None
        wide = widgets.Layout(width="100%")
        self.prompt = widgets.Textarea(value=prompt, description=_("Prompt"), rows=2, layout=wide)
        self.prompt.add_class("cl-prompt")
        self.look_button = button(_("Look"), "search", "cl-look", self._start)
        self.form = ControlsForm(controls or Controls(), groups=(SAMPLING, REPETITION, RESULT))
        engines = [(_("nobody"), ""), *((name, name) for name in PIPELINES if name != self.engine_name)]
        self.duel = widgets.Dropdown(
            options=engines, value="", description=_("Order duel with"), style={"description_width": "initial"}
        )
        self.duel.add_class("cl-duel")
        self.about = widgets.HTML()
        self.about.add_class("cl-about")
        self.view = NextTokenView()
        self.code = CodeFold()
        self.prompt.observe(self._other_prompt, "value")
        self.form.observe(self._changed, "entries")
        self.duel.observe(self._changed, "value")
        if not isinstance(server, Server):
            server.observe(self._changed, "server")
        buttons = widgets.HBox([self.look_button, self.duel], layout=widgets.Layout(flex_flow="row wrap"))
        self.lay_out(self.prompt, buttons, self.form, self.about, self.view, self.code)
        self.redraw()

    @property
    def server(self) -> Server:
        """Who answers.

        Raises:
            Unreachable: it is a desk's, and none runs there.
        """
        if self._running is None:
            raise Unreachable(_("No server runs yet; press Start in the Deploy panel, then Look."))
        return self._running

    @property
    def _running(self) -> Server | None:
        return self._source if isinstance(self._source, Server) else self._source.server

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

    def plan(self) -> Plan:
        """The call that draws one token.

        Raises:
            SettingsError: the form holds what is no value of a control.
        """
        routes = [route for route in routes_of(self.engine_name) if route.takes == "prompt"]
        route = routes[0] if routes else ROUTES["llama.cpp completions"]
        defaults, origin = self._defaults
        return route.plan(self.form.controls.with_(max_tokens=1), defaults=defaults, origin=origin)

    def redraw(self) -> None:
        """Draw the logits as they were told under the controls as they are now; what cannot be drawn is said."""
        try:
            plan = self.plan()
            if self._look:
                self._draw(self._look, _effective(plan))
            self.form.show(plan)
            self._show_code(plan)
            self.show_error(None)
        except CourseError as error:
            self.show_error(error)

    def _draw(self, look: Look, controls: Controls) -> None:
        self._outcome = self._rival = None  # the picture stays, should there be nothing new to draw
        outcome = pipeline(self.engine_name, controls, look.context).run(look.told.logits)
        rival = None
        if self.duel.value:
            rival = pipeline(self.duel.value, self.form.controls, look.context).run(look.told.logits)
        self.view.drawn = picture(look.told, look.own, outcome, rival)
        self._outcome, self._rival = outcome, rival

    def _show_code(self, plan: Plan) -> None:
        if self._running is None:
            self.code.programs, self.code.notes = {}, [_("The code appears once a server runs."), *plan.notes]
            return
        self.code.programs = programs(plan, self.prompt.value, self.server.endpoint)
        self.code.notes = plan.notes
        self.set_model(self.server.model)

    def _changed(self, _change: object = None) -> None:
        self._shown.touch()

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
        import httpx

        server, prompt = self.server, self.prompt.value
        told = logits.next_token(server, prompt)
        try:
            self._defaults = server_defaults(server)
        except httpx.HTTPError:
            self._defaults = ({}, "")  # it has just told its logits: what is wrong now, the next look will say
        context = Context(told.prompt, breakers=breakers_within(told.pieces))
        if server.engine_name == "vllm":
            told = _with_texts(server, told)
        self._look = Look(prompt, told, np.exp(told.logprobs), context)
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


def _with_texts(server: Server, told: logits.NextToken) -> logits.NextToken:
    """What vLLM told, with the likeliest tokens' texts, which it tells apart; the others by number.

    A token that is part of a character has no text there, and keeps its number, too.
    """
    pieces = [f"#{token}".encode() for token in range(told.logprobs.size)]
    for token in np.argsort(-told.logprobs)[:NAMED].tolist():
        text = logits.ask(server, "/detokenize", {"model": server.model, "tokens": [token]})["prompt"]
        if "\ufffd" not in text:
            pieces[token] = text.encode()
    return replace(told, pieces=tuple(pieces))


def _effective(plan: Plan) -> Controls:
    """The controls, and for those not set what this very server applies, where that is not its engine's default."""
    spelled = plan.route.table
    told = {
        line.control: line.applies
        for line in plan.report
        if line.asked is None and not isinstance(line.applies, str) and line.applies != spelled[line.control].default
    }
    return plan.controls.with_(**told)


def _tail(prompt: str, most: int = 60) -> str:
    return prompt if len(prompt) <= most else f"…{prompt[-most:]}"
