"""What every experiment does with recordings: writes them, opens them, makes of them the pictures of a notebook."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any

from courselib.controls.controls import Controls
from courselib.engines.server import Server
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.panels.asked import Asked, Kept
from courselib.panels.controls_form import ControlsForm
from courselib.panels.recipe import Recipe
from courselib.panels.recording import Recording, hardware_of, readable, today
from courselib.panels.server_facts import FACTS_WAIT_S, ServerFacts, facts_of, wait_for_facts
from courselib.panels.state import State
from courselib.panels.worker import Coalescer


class Recordable(Recipe):
    """An experiment whose result can be kept as a small file; ``Experiment`` is one."""

    form: ControlsForm | None
    result: Any
    server: Any
    state: Any
    asked: Any
    _kept: Kept
    _drawing: Coalescer
    _recording: Recording | None = None
    _recorded_facts: ServerFacts | None = None

    def record(self, path: str | Path, *, hardware: str = "") -> Path:
        """Write the result at hand as a recording, a JSON file of at most 100 kB.

        Args:
            path: the file.
            hardware: what the server runs on; found out by itself where that is this machine.

        Raises:
            SettingsError: there is no result, it is too large, or the server is on another machine.
            Unreachable: no server runs.
        """
        return self.as_recording(hardware).write(Path(path))

    def as_recording(self, hardware: str) -> Recording:
        """The result at hand as a recording.

        Raises:
            SettingsError, Unreachable: as ``record``.
        """
        self._drawing.flush()
        server: Server = self.server
        asked: Asked = self.asked
        result = self.result
        if result is None:
            raise SettingsError(_("There is nothing to record yet; press {button} first.").format(button=_(self.press)))
        facts = wait_for_facts(server, FACTS_WAIT_S)
        controls = self.form.controls if self.form else Controls()
        return Recording(
            panel=type(self).__name__,
            engine=self.engine_name,
            model=facts.model,
            hardware=hardware or hardware_of(server),
            date=today(),
            values={name: value.given() if isinstance(value, Controls) else value for name, value in asked.values},
            controls=controls.given(),
            result=self.pack(result),
            defaults=facts.defaults,
            origin=facts.origin,
            remark=facts.remark,
        )

    def facts_at_hand(self) -> ServerFacts:
        """What the server has said of itself, or the one that was recorded; empty where neither is known."""
        server = self._running()
        return (facts_of(server, self._drawing.touch) if server else self._recorded_facts) or ServerFacts()

    @abstractmethod
    def _running(self) -> Server | None:
        """The server, where one runs."""

    def recorded_rules(self, recording: Recording) -> dict[str, Any]:  # noqa: ARG002
        """Inputs that are not sent, as they were when it was recorded, where the result tells them."""
        return {}

    def as_table(self) -> str:
        """The result at hand as plain text."""
        self._drawing.flush()
        head = f"{self.title} | {self._engines} | {self.state.value}"
        said = [self.origin if self.state == State.RECORDED else "", self.remark]
        return "\n".join(
            [head, *filter(None, said), *(self.lines(self.result, self.asked) if self.result is not None else [])]
        )

    def _open(self, recording: Recording, values: dict[str, Any]) -> None:
        """Keep the recorded result as that of no server, and draw it: then it is known that it can be.

        Raises:
            SettingsError: it cannot be drawn.
        """
        controls = recording.given_controls() if self.form and self.sends_controls else None
        self._recorded_facts = recording.facts
        asked, result = recording.asked(values, controls), recording.unpacked(self)
        self._kept.put(asked, result)
        with readable(recording.panel):
            self._drawing.touch()
            self._drawing.flush()
            self._make_stills(recording, asked, result)

    def _make_stills(self, recording: Recording, asked: Asked, result: Any) -> None:
        """Text and pictures for saved notebooks: of the recording, whatever is measured, and so always the same."""
        caption = f"{self.title} · {self._engines} · {recording.model} · {recording.label}"
        text = "\n".join([caption, *self.lines(result, asked)])
        self.stills = {"text/plain": text, **self.still(result, asked, caption)}

    def _show_origin(self, of: Asked, shown: Any) -> None:
        is_recorded = self._recording and shown is not None and not of.server
        self.set_origin(self._recording.label if self._recording and is_recorded else _(self.origin_words))

    def _why_recorded(self, of: Asked, asked: Asked) -> str:
        """Why a recording is shown although a server runs; empty where that is not so."""
        if not self._recording or of.server or not asked.server:
            return ""
        text = _("This was {recorded}. Press {button} to measure it here.")
        return text.format(recorded=self._recording.label, button=_(self.press))
