"""Ask a server something and watch it answer, token by token."""

from __future__ import annotations

import ipywidgets as widgets

from courselib.controls.controls import Controls
from courselib.engines.server import Server
from courselib.i18n import _
from courselib.panels.conversation import FIRST_CONTROLS, Conversation
from courselib.panels.deploy import Deploy
from courselib.stream import Answer


class Playground(Conversation):
    """A chat with one server.

    ``form`` holds its controls, ``answer_view`` the tokens of the last answer, ``code`` the programs that make the same
    call.

    Args:
        server: who answers: a server, or the desk (``Deploy``) that may start one.
        prompt, system: what the boxes hold at first.
        controls: what the form holds at first.
    """

    def __init__(
        self, server: Server | Deploy, *, prompt: str = "", system: str = "", controls: Controls = FIRST_CONTROLS
    ) -> None:
        super().__init__(_("Playground"), [(server, controls)], prompt, system)
        (column,) = self.columns
        self.form, self.answer_view, self.facts, self.code = column.form, column.answer_view, column.facts, column.code
        self.error_line = column.error_line
        buttons = widgets.HBox([self.send_button, self.cancel_button])
        result = (self.answer_view, self.facts, column.used_view, self.error_line, self.code)
        self.lay_out(self.system, self.prompt, column.presets, self.form, buttons, *result)
        self._changed()

    @property
    def answer(self) -> Answer | None:
        """What was measured of the last answer."""
        return self.columns[0].answer

    def _show_state(self) -> None:
        super()._show_state()
        self.set_model(self.columns[0].model)

    def ask(self, prompt: str, timeout_s: float = 120) -> str:
        """Send ``prompt`` as if it had been typed, wait for the answer, and return its text."""
        self.send_and_wait(prompt, timeout_s)
        return self.columns[0].text

    def as_table(self) -> str:
        """The last answer's tokens with their probabilities, as plain text."""
        return f"{super().as_table()}\n{self.answer_view.as_table()}"
