"""One look at an engine: the distribution it tells of the next token, and what panels that draw from it share."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from courselib.controls.controls import Controls
from courselib.controls.route import LOST, Plan, Route
from courselib.controls.routes import ROUTES, routes_of
from courselib.engines.server import Server
from courselib.errors import CourseError
from courselib.i18n import _
from courselib.observe import logits
from courselib.observe.effective import server_defaults
from courselib.panels.code_fold import CodeFold
from courselib.panels.controls_form import ControlsForm
from courselib.panels.source import Asking
from courselib.panels.worker import Coalescer
from courselib.sampling import Context, breakers_within
from courselib.sampling.candidates import Floats

if TYPE_CHECKING:
    from courselib.panels.source import Source

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
        defaults: what this very server applies where nothing is sent, and where that is told.
    """

    prompt: str
    told: logits.NextToken
    own: Floats
    context: Context
    defaults: tuple[dict[str, Any], str] = ({}, "")


def look_at(server: Server, prompt: str) -> Look:
    """Ask a server for the distribution of the token after ``prompt``.

    Raises:
        SettingsError, RequestError: as ``courselib.observe.logits.next_token``.
    """
    import httpx

    told = logits.next_token(server, prompt)
    try:
        defaults = server_defaults(server)
    except httpx.HTTPError:
        defaults = ({}, "")  # it has just told its logits: what is wrong now, the next look will say
    context = Context(told.prompt, breakers=breakers_within(told.pieces))
    if server.engine_name == "vllm":
        told = _with_texts(server, told)
    return Look(prompt, told, np.exp(told.logprobs), context, defaults)


class Looking(Asking):
    """A panel that looks at an engine once, and draws anew from that as the controls change.

    ``prompt`` is what the engine goes on from, ``form`` the controls, ``code`` the programs that draw one token.

    Args:
        title, source, origin, press: as of ``Asking``.
        prompt: what the box holds at first.
        controls: what the form holds at first.
        groups: the groups of controls that the form shows.
        code_title: what stands above the programs; "Code" by itself.
    """

    def __init__(
        self, title: str, source: Source, origin: str, press: str, *, prompt: str, controls: Controls | None,
        groups: tuple[str, ...], code_title: str = "",
    ) -> None:  # fmt: skip
        super().__init__(title, source, origin, press)
        self._look: Look | None = None
        self._shown = Coalescer(self.redraw)
        self.prompt = widgets.Textarea(
            value=prompt, description=_("Prompt"), rows=2, layout=widgets.Layout(width="100%")
        )
        self.prompt.add_class("cl-prompt")
        self.form = ControlsForm(controls or Controls(), groups=groups)
        self.code = CodeFold(title=code_title)
        self.form.observe(self._changed, "entries")
        if not isinstance(source, Server):
            source.observe(self._changed, "server")

    def plan(self) -> Plan:
        """The call that draws one token after a text, on the engine's first route for texts.

        Raises:
            SettingsError: the form holds what is no value of a control.
        """
        routes = [route for route in routes_of(self.engine_name) if route.takes == "prompt"]
        route = routes[0] if routes else ROUTES["llama.cpp completions"]
        return self._plan_on(route, self.form.controls.with_(max_tokens=1))

    def _plan_on(self, route: Route, controls: Controls) -> Plan:
        """A call on a route, with what this very server applies where it has told that."""
        defaults, origin = self._look.defaults if self._look else ({}, "")
        return route.plan(controls, defaults=defaults, origin=origin)

    def redraw(self) -> None:
        """Draw what the engine told under the controls as they are now; what cannot be drawn is said."""
        try:
            plan = self.plan()
            self.form.show(plan)
            self._show_code(plan)
            self._draw(plan)
            self.show_error(None)
        except CourseError as error:
            self.show_error(error)

    @abstractmethod
    def _draw(self, plan: Plan) -> None:
        """Draw the look, if there is one."""

    def _show_code(self, plan: Plan) -> None:
        self.show_call(self.code, plan, self.prompt.value, self._code_notes)

    @property
    def _code_notes(self) -> list[str]:
        """Where the panel's own call is not the program's."""
        return []

    def _changed(self, _change: object = None) -> None:
        self._shown.touch()


def applied(plan: Plan) -> Controls:
    """The controls with every value that applies set: asked for, told by this server, or the engine's default."""
    values = {
        line.control: line.applies
        for line in plan.report
        if line.asked is None and line.verdict not in LOST and not isinstance(line.applies, str)
    }
    return plan.controls.with_(**values)


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
