"""Ask a server something and watch it answer, token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from courselib.controls.code import openai_arguments, programs
from courselib.controls.controls import Controls
from courselib.controls.route import Plan
from courselib.controls.routes import chat_route
from courselib.engines.server import Server
from courselib.errors import CourseError, Unreachable
from courselib.i18n import _
from courselib.panels.base import Panel, button, facts_table
from courselib.panels.code_fold import CodeFold
from courselib.panels.token_text import TokenText
from courselib.panels.worker import Worker
from courselib.stream import Answer, ChatStream, chat_messages

if TYPE_CHECKING:
    from courselib.panels.deploy import Deploy

TOP_LOGPROBS = 5
SEED_RANDOM = -1
DECIMALS = 4


class Playground(Panel):
    """A chat with one server.

    ``answer`` holds what was measured of the last answer, ``answer_view`` its tokens, ``code`` the programs that make
    the same call.

    Args:
        server: who answers: a server, or the desk (``Deploy``) that may start one.
        prompt, system: what the boxes hold at first.
    """

    def __init__(self, server: Server | Deploy, *, prompt: str = "", system: str = "") -> None:
        super().__init__(_("Playground"), server.engine_name, _("measured"))
        self._source = server
        self.answer: Answer | None = None
        self._stream: ChatStream | None = None
        self._worker = Worker(self.show_error, self._ended)
        self.prompt = _area(_("Prompt"), prompt, "cl-prompt", rows=3)
        self.system = _area(_("System prompt"), system, "cl-system", rows=2)
        self.fields = _fields()
        self.send_button = button(_("Send"), "paper-plane", "cl-send", self._ask)
        self.cancel_button = button(_("Cancel"), "times", "cl-cancel", self._cancel)
        self.cancel_button.disabled = True
        self.answer_view = TokenText()
        self.facts = widgets.HTML()
        self.code = CodeFold()
        self.code.add_class("cl-code-fold")
        if not isinstance(server, Server):
            server.observe(self._changed, "server")
        for field in (self.prompt, self.system, *self.fields.values()):
            field.observe(self._changed, "value")
        controls = widgets.GridBox(
            list(self.fields.values()),
            layout=widgets.Layout(grid_template_columns="repeat(auto-fill, minmax(330px, 1fr))"),
        )
        buttons = widgets.HBox([self.send_button, self.cancel_button])
        self.lay_out(self.system, self.prompt, controls, buttons, self.answer_view, self.facts, self.code)
        self._changed()

    @property
    def server(self) -> Server:
        """Who answers.

        Raises:
            Unreachable: it is a desk's, and none runs there.
        """
        server = self._source if isinstance(self._source, Server) else self._source.server
        if server is None:
            raise Unreachable(_("No server runs yet; press Start in the Deploy panel, then Send."))
        return server

    def plan(self) -> Plan:
        """The next call: what is sent for the controls, and what becomes of each."""
        # A browser's slider gives 0.9500000000000002 for 0.95.
        values = {name: round(field.value, DECIMALS) for name, field in self.fields.items()}
        if values["seed"] == SEED_RANDOM:
            del values["seed"]
        return chat_route(self._source.engine_name).plan(Controls(**values))

    def _changed(self, _change: object = None) -> None:
        """Show the programs of the call that Send would make now."""
        if not isinstance(self._source, Server) and self._source.server is None:
            self.code.programs = {}
            self.code.notes = [_("The code appears once a server runs.")]
            return
        try:
            self.code.notes = [_("The panel asks for log-probabilities as well; they leave the text as it is.")]
            messages = chat_messages(self.prompt.value or _("Hello"), self.system.value)
            self.code.programs = programs(self.plan(), messages, self.server.endpoint)
            self.set_model(self.server.model)
            self.show_error(None)
        except CourseError as error:
            self.show_error(error)

    def _ask(self, _button: object = None) -> None:
        if self._worker.busy:
            return
        self._changed()
        self.answer = None
        self.facts.value = ""
        self.answer_view.clear()
        self.send_button.disabled, self.cancel_button.disabled = True, False
        self.set_state_text(_("answering"))
        self._worker.start(self._run, on_cancel=self._break_off)

    def _break_off(self) -> None:
        if self._stream:
            self._stream.close()

    def _run(self) -> None:
        messages = chat_messages(self.prompt.value, self.system.value)
        stream = ChatStream(
            self.server, messages, **{**openai_arguments(self.plan()), "logprobs": True, "top_logprobs": TOP_LOGPROBS}
        )
        self._stream = stream
        if self._worker.cancelled.is_set():
            return
        begun = False
        try:
            for token in stream:
                self.answer_view.feed(token)
                if not begun:
                    begun = True
                    self.facts.value = facts_table([_first_token(stream.ttft_s)])
        finally:
            self.answer_view.finish()
        self.answer = stream.answer
        self._show_facts()

    def _show_facts(self) -> None:
        if self.answer is None:
            return
        answer = self.answer
        speed = "-" if answer.tokens_per_s is None else f"{answer.tokens_per_s:.1f}"
        self.facts.value = facts_table(
            [
                _first_token(answer.ttft_s),
                (_("tokens a second"), speed, _("measured")),
                (_("finish reason"), answer.finish_reason, _("the engine's word")),
                (_("prompt tokens"), str(answer.prompt_tokens or "-"), _("counted by the engine")),
                (_("answer tokens"), str(answer.completion_tokens), _("counted by the engine")),
            ]
        )

    def _cancel(self, _button: object = None) -> None:
        self._worker.cancel()

    def _ended(self) -> None:
        self.send_button.disabled, self.cancel_button.disabled = False, True
        if self._worker.error:
            self.set_state_text(_("failed"))
        else:
            self.set_state_text(_("cancelled") if self._worker.cancelled.is_set() else _("done"))

    def ask(self, prompt: str, timeout_s: float = 120) -> str:
        """Send ``prompt`` as if it had been typed, wait for the answer, and return its text."""
        self.prompt.value = prompt
        self._ask()
        self._worker.wait(timeout_s)
        return self.answer_view.text

    def wait(self, timeout_s: float = 120) -> None:
        """Wait until the answer under way is done; raises what it raised."""
        self._worker.wait(timeout_s)

    def as_table(self) -> str:
        """The last answer's tokens with their probabilities, as plain text."""
        return f"{super().as_table()}\n{self.answer_view.as_table()}"


def _first_token(seconds: float | None) -> tuple[str, str, str]:
    shown = "-" if seconds is None else f"{1000 * seconds:.0f} ms"
    return _("time to first token"), shown, _("measured")


def _area(label: str, value: str, css: str, *, rows: int) -> widgets.Textarea:
    area = widgets.Textarea(
        value=value,
        placeholder=label,
        description=label,
        rows=rows,
        style={"description_width": "110px"},
        layout=widgets.Layout(width="100%"),
    )
    area.add_class(css)
    return area


def _fields() -> dict[str, Any]:
    def common(name: str) -> dict[str, Any]:
        return {"description": name, "style": {"description_width": "110px"}, "layout": widgets.Layout(width="330px")}

    fields = {
        "temperature": widgets.FloatSlider(value=0.8, min=0, max=2, step=0.05, **common("temperature")),
        "top_p": widgets.FloatSlider(value=0.95, min=0.01, max=1, step=0.01, **common("top_p")),
        "max_tokens": widgets.IntSlider(value=128, min=1, max=1024, **common("max_tokens")),
        "seed": widgets.BoundedIntText(value=42, min=SEED_RANDOM, max=2**31 - 1, **common("seed")),
    }
    for name, field in fields.items():
        field.add_class(f"cl-{name.replace('_', '-')}")
    return fields
