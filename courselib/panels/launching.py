"""The base of a panel that starts a server of its own for each measurement, and stops it; it asks nobody else.

As an ``Experiment`` it has inputs, a worker, results each under its ``asked``, and recordings. Its numbers are of this
machine, so it has something to show before anything is measured: ``known`` gives it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from courselib.engines.launcher import launch
from courselib.engines.server import Server
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.panels.asked import Asked
from courselib.panels.experiment import Experiment, Measure
from courselib.panels.keeper import Cancelled
from courselib.panels.recording import NoServer, Recording, hardware_here, today
from courselib.panels.run import Run
from courselib.panels.server_facts import ServerFacts
from courselib.panels.state import State

# In place of a server's number: a server that is started for a measurement is no other one's. 0 is a recording's.
THIS_MACHINE = 1


class Launching(Experiment):
    """A panel that starts servers; see the module's text.

    Args:
        named: the engine named in its repr.
        recording: as of ``Experiment``.
        values: inputs by name.
    """

    # Nothing is asked.
    prompt = None
    phase = ""

    def __init__(self, named: str, /, *, recording: str | Path | None = None, **values: Any) -> None:
        super().__init__(NoServer(named), recording=recording, **values)  # type: ignore[arg-type]

    def launch(self, run: Run, engine: str, settings: dict[str, Any]) -> Server:
        """Start a server, which the caller stops.

        Raises:
            Cancelled: Cancel was pressed; the server has been ended.
            CourseError: it does not start.
        """

        def waited(elapsed_s: float) -> None:
            if run.cancelled:
                raise Cancelled
            self.phase = _("starting, {seconds:.0f} s").format(seconds=elapsed_s)
            self._drawing.touch()

        def in_phase(phase: str, elapsed_s: float) -> None:
            waited(elapsed_s)
            self.phase = _("starting: {phase}, {seconds:.0f} s").format(phase=phase, seconds=elapsed_s)

        return launch(engine, on_wait=waited, on_phase=in_phase, on_note=lambda _note: None, **settings)

    @property
    def asked(self) -> Asked:
        """What would be measured now."""
        values = tuple((name, getattr(self, name)) for name, field in self._fields.items() if field.sent)
        return Asked(THIS_MACHINE, values)

    def _job(self, measure: Measure) -> Callable[[], None]:
        run = Run(None, self.asked, self._worker, self._show_progress)  # type: ignore[arg-type]
        self._fault, self.phase = None, ""
        return lambda: self._measure(run, measure)

    def _with_model(self, run: Run) -> Asked:
        return run.asked

    def _failed(self, error: BaseException) -> None:
        self._fault = error

    # Drawing.

    def model_words(self) -> str:
        """The model that is chosen, for people."""
        raise NotImplementedError

    def engine_words(self) -> str:
        """The engine that is chosen, for people."""
        raise NotImplementedError

    def set_model(self, model: str) -> None:  # noqa: ARG002 - no server serves one
        """Show in the header which engine and model are chosen."""
        self._engines = self.engine_words()
        super().set_model(self.model_words())

    def _show_call(self, asked: Asked, facts: ServerFacts) -> None:  # noqa: ARG002 - there is no server that has any
        self.code.programs, self.code.notes = self.code_of(asked)

    def code_of(self, asked: Asked) -> tuple[dict[str, str], list[str]]:
        """The programs of the Code fold, and the notes below them."""
        raise NotImplementedError

    def _show_result(self, asked: Asked) -> None:
        own = self._kept.get(asked)
        recorded = self._kept.get(Asked(0, asked.values)) if own is None else None
        self.result = own if recorded is None else recorded
        self._show_origin(asked if recorded is None else Asked(0, asked.values), self.result)
        self.draw(self.result, asked)

    def _state_at_rest(self, asked: Asked | None, server: Server | None) -> State:  # noqa: ARG002 - it has no server
        if self._outcome and self._outcome[0] == asked:
            return self._outcome[1]
        if self.result is None:
            return State.READY
        here = asked is not None and self._kept.get(asked) is not None
        return State.DONE if here else State.RECORDED

    def _busy_words(self) -> str:
        return self.phase or super()._busy_words()

    def as_table(self) -> str:
        """What is predicted and measured, as plain text."""
        self._drawing.flush()
        head = f"{self.title} | {self._engines} | {self.state.value}"
        return "\n".join([head, *self.lines(self.result, self.asked)])

    def as_recording(self, hardware: str) -> Recording:
        """The result at hand as a recording; it was measured on this machine, if no other is named.

        Raises:
            SettingsError: there is no result.
        """
        self._drawing.flush()
        asked, result = self.asked, self.result
        if result is None:
            raise SettingsError(_("There is nothing to record yet; press {button} first.").format(button=_(self.press)))
        return Recording(
            panel=type(self).__name__,
            engine=self.engine_name,
            model=self.model_words(),
            hardware=hardware or hardware_here(),
            date=today(),
            values=dict(asked.values),
            controls={},
            result=self.pack(result),
        )
