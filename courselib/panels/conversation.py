"""What the panels that ask a server something have in common: a prompt, Send, Cancel, and a column for each server."""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as widgets

from courselib.controls.controls import Controls
from courselib.engines.server import Server
from courselib.i18n import _
from courselib.panels.base import Panel, button
from courselib.panels.column import Column
from courselib.panels.deploy import Deploy

# Enough for an answer, and the same one when asked again.
FIRST_CONTROLS = Controls(max_tokens=128, seed=42)


class Conversation(Panel):
    """A panel that asks one or more servers the same.

    Args:
        title: the panel's name for people.
        asked: who answers, each with the controls that its form holds at first.
        prompt, system: what the boxes hold at first.
    """

    def __init__(self, title: str, asked: Sequence[tuple[Server | Deploy, Controls]], prompt: str, system: str) -> None:
        super().__init__(title, ", ".join(source.engine_name for source, _controls in asked), _("measured"))
        self.prompt = _area(_("Prompt"), prompt, "cl-prompt", rows=3)
        self.system = _area(_("System prompt"), system, "cl-system", rows=2)
        self.send_button = button(_("Send"), "paper-plane", "cl-send", self._ask)
        self.cancel_button = button(_("Cancel"), "times", "cl-cancel", self._cancel)
        self.columns = [
            Column(source, controls, opened=len(asked) == 1, on_change=self._show_state) for source, controls in asked
        ]
        for field in (self.prompt, self.system):
            field.observe(self._changed, "value")
        for column in self.columns:
            column.form.observe(self._changed, "entries")
            if isinstance(column.source, Deploy):
                column.source.observe(self._changed, "server")

    def _changed(self, _change: object = None) -> None:
        """Show the programs of the calls that Send would make now."""
        for column in self.columns:
            column.refresh(self.prompt.value, self.system.value)

    def _show_state(self) -> None:
        """A column's state has changed: show what is true of all."""
        answering = any(column.answering for column in self.columns)
        self.send_button.disabled, self.cancel_button.disabled = answering, not answering
        states = {column.state for column in self.columns}
        order = (_("answering"), _("failed"), _("cancelled"), _("done"))
        self.set_state_text(next((state for state in order if state in states), _("ready")))

    def _ask(self, _button: object = None) -> None:
        for column in self.columns:
            column.start(self.prompt.value, self.system.value)

    def _cancel(self, _button: object = None) -> None:
        for column in self.columns:
            column.cancel()

    def wait(self, timeout_s: float = 120) -> None:
        """Wait until the answers under way are done; raises what the first to fail has raised."""
        errors = []
        for column in self.columns:
            try:
                column.wait(timeout_s)
            except Exception as error:  # noqa: BLE001 - raised below, when all have ended
                errors.append(error)
        if errors:
            raise errors[0]

    def send_and_wait(self, prompt: str, timeout_s: float) -> None:
        """Send ``prompt`` as if it had been typed, and wait for the answers."""
        self.prompt.value = prompt
        self._ask()
        self.wait(timeout_s)


def _area(label: str, value: str, css: str, *, rows: int) -> widgets.Textarea:
    area = widgets.Textarea(
        value=value,
        placeholder=label,
        description=label,
        rows=rows,
        style={"description_width": "110px"},
        layout=widgets.Layout(width="auto"),
    )
    area.add_class(css)
    return area
