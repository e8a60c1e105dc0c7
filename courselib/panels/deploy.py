"""Choose an engine's settings, see the command change, start it, watch it, stop it.

    inputs --settings--> preview: command, sizes by formula --.
                                                              |--drawn at most 20 times a second, in one place
    Start, Stop --> ServerKeeper --server, how it stands -----'

It is not an ``Experiment``, because it sends no request; its inputs, worker, drawing and states work in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
import traitlets

from courselib.engines import cell
from courselib.engines.launcher import make_settings
from courselib.engines.server import Server
from courselib.errors import CourseError, EngineMissing, PanelBusy
from courselib.i18n import _
from courselib.panels.base import Panel, button, escape, facts_table
from courselib.panels.code_fold import CodeFold
from courselib.panels.desk_facts import Seen, look, predicted_rows, python_program, wrapped
from courselib.panels.desk_still import desk_stills, refused_stills
from courselib.panels.desks import Preview, desk_of
from courselib.panels.fold import Fold
from courselib.panels.keeper import ServerKeeper
from courselib.panels.state import DESK_WORDS, DeskState
from courselib.panels.worker import Coalescer, thread

ACTIVE = (DeskState.STARTING, DeskState.RUNNING, DeskState.STOPPING, DeskState.REPLACED)
CLAUSE_END = re.compile(r"[:.;](?: |$)|[。：；]")


class Deploy(Panel):
    """Start, watch and stop one server.

    The trait ``server`` is the running server or None, ``state`` its state; each setting is a trait too, under its own
    name. The server ends when Stop is pressed, when the kernel ends, or when the panel's cell is run again; the earlier
    panel of that cell then refers to the server of the new one, and so do the panels that use it.

    Args:
        engine: which engine, as ``launch`` takes it.
        settings: initial values of the inputs.

    Raises:
        SettingsError: there is no Deploy panel for the engine, or it has no such setting.
    """

    server: Server | None = traitlets.Any(None, allow_none=True)  # type: ignore[assignment]
    state = traitlets.UseEnum(DeskState, DeskState.NOT_STARTED)

    def __init__(self, engine: str = "llama.cpp", **settings: Any) -> None:
        super().__init__(_("Deploy"), engine, _("measured, where not marked otherwise"))
        self._desk = desk_of(engine)
        self._unheard = () if self._desk.has_gpu() else self._desk.gpu_only
        self._successor: Deploy | None = None
        self._obstacle: CourseError | None = None
        self._ahead: tuple[dict[str, Any], Preview | None, CourseError | None] | None = None
        self._drawing = Coalescer(self._draw)
        self._keeper = ServerKeeper(engine, self._look, self._serve, self._drawing)
        fields = self._desk.fields(make_settings(self._desk.engine, settings))
        for name in self._unheard:
            fields[name].help_text = _("{name} is not honoured here: there is no GPU.").format(name=name)
        self.add_traits(**fields)
        self.inputs = {name: field.widget(self, label_width=self._desk.label_width) for name, field in fields.items()}
        self.start_button = button(_("Start"), "play", "cl-start", lambda _button: self._press())
        self.start_button.button_style = "primary"
        self.stop_button = button(_("Stop"), "stop", "cl-stop", lambda _button: self.stop())
        self.code = CodeFold(title=_("The command"))
        self.code.opened = True
        self.add_class("cl-deploy")
        self.code.add_class("cl-command")
        self.facts = widgets.HTML()
        self.log_view = widgets.HTML()
        self.log_view.add_class("cl-log-box")
        self.page.submit_to(lambda _prompt: self._press())
        self._arrange()
        self.observe(self._changed, list(fields))
        self._earlier = self._replace_earlier()
        self._drawing.touch()
        self._checking = thread(self._check_here)
        self._checking.start()

    def _arrange(self) -> None:
        for each in self.inputs.values():
            each.layout.width = "auto"
            if isinstance(each, widgets.Checkbox):
                each.indent = True
        buttons = widgets.HBox([self.start_button, self.stop_button])
        buttons.add_class("cl-head-buttons")
        self._head.children = (*self._head.children, buttons)
        rest = [each for name, each in self.inputs.items() if name not in self._desk.first]
        self.more_fold = Fold(_("More settings"), *rest)
        left = widgets.VBox([*(self.inputs[name] for name in self._desk.first), self.more_fold])
        body = widgets.Box([left, widgets.VBox([self.facts, self.code])])
        body.add_class("cl-body")
        self.log_fold = Fold(_("Log"), self.log_view)
        self.lay_out(body, self.log_fold)

    def settings(self) -> dict[str, Any]:
        """The chosen settings, as ``launch`` takes them."""
        return {name: getattr(self, name) for name in self.inputs if name not in self._unheard}

    def start(self) -> None:
        """Begin to start the server, in the background.

        Raises:
            PanelBusy: it is starting, running or stopping, or another panel has taken this one's place.
        """
        if self._successor:
            raise PanelBusy(_("The cell of this panel was run again; use the panel that it shows now."))
        self._ahead = self._obstacle = None
        if not self._keeper.start(self.settings(), [desk._keeper for desk in self._earlier]):
            raise PanelBusy(_("This panel's server is starting, running or stopping; press Stop first."))

    def stop(self) -> None:
        """Begin to end the server, or to cancel its start; without a server, nothing happens."""
        self._keeper.stop()

    def run(self, timeout_s: float = 600) -> Server | None:
        """Start the server, wait for its first token, and return it; raises the error if the start fails."""
        self.start()
        self.wait(timeout_s)
        return self.server

    def wait(self, timeout_s: float = 60) -> None:
        """Wait until a start or stop that is under way is done and shown; raises its error, once."""
        self._checking.join(timeout_s)
        try:
            self._keeper.wait(timeout_s)
        finally:
            self._drawing.flush()

    def _press(self) -> None:
        """The Start button or its key; a second click before the button is disabled is ignored."""
        if not self.start_button.disabled and not self._keeper.is_busy:
            self.start()

    def _serve(self, server: Server | None) -> None:
        self.server = server

    def _look(self, server: Server) -> Seen:
        _settings, preview, _refused = self._ahead or ({}, None, None)
        predicted = preview.predicted if preview else {}
        return look(server, predicted, has_metrics=getattr(self, "metrics", True))

    def _check_here(self) -> None:
        try:
            self._desk.check_here(self.settings())
        except CourseError as error:
            self._obstacle = error
            self._drawing.touch()

    # A cell that is run again.

    def _replace_earlier(self) -> list[Deploy]:
        """The panels that earlier runs of this cell made; their servers are being ended."""
        run = cell.current_run()
        earlier = _desks.forget_earlier(run)
        _desks.remember(run, self)
        for desk in earlier:
            desk._give_way(self)
        return earlier

    def _give_way(self, successor: Deploy) -> None:
        self._successor = successor
        self._keeper.close()
        successor.observe(self._follow, "server")
        self._drawing.touch()

    def _follow(self, change: dict[str, Any]) -> None:
        """Panels that ask this panel's server now ask its successor's."""
        self.server = change["new"]

    # Drawing: by the coalescer alone.

    def _changed(self, _change: object = None) -> None:
        """An input has changed."""
        self._keeper.forget_outcome()
        self._drawing.touch()

    def _draw(self) -> None:
        preview, refused = self._look_ahead()
        server, seen = self._keeper.server, self._keeper.seen
        if preview:
            self.set_model(preview.model)
            command, noted = (server.command, server.notes) if server else (preview.command, ())
            self._show_command(command, [*preview.notes, *noted])
        if server and seen.rows:
            self.facts.value = facts_table(list(seen.rows))
        elif preview:
            self.facts.value = facts_table(predicted_rows(preview.predicted, preview.lost))
        self._show_log(seen.log)
        self._show_state(refused)

    def _look_ahead(self) -> tuple[Preview | None, CourseError | None]:
        """The preview of the settings before a start, or why they are refused; computed once for each choice."""
        settings = self.settings()
        if self._ahead is None or self._ahead[0] != settings:
            try:
                self._ahead = (settings, self._desk.preview(settings), None)
            except CourseError as error:
                self._ahead = (settings, None, error)
        return self._ahead[1:]

    def _show_command(self, command: str, notes: Sequence[str]) -> None:
        program = python_program(self._desk.engine, self.settings())
        self.code.programs = {_("terminal"): wrapped(command), "Python": program}
        self.code.notes = list(dict.fromkeys(notes))

    def _show_log(self, log: str) -> None:
        self.log_fold.layout.display = "" if log else "none"
        self.log_view.value = (
            f"<div class='cl-newest' tabindex='0' role='log' aria-live='off' aria-label='{escape(_('log'))}'>"
            f"<pre class='cl-log'>{escape(log)}</pre></div>"
        )

    def _show_state(self, refused: CourseError | None) -> None:
        state, wrong = self._standing(refused)
        at_rest = state not in ACTIVE
        # What is missing on this machine may be there by now: a press looks again.
        self.start_button.disabled = not at_rest or (refused is not None and state is not DeskState.IMPOSSIBLE)
        self.stop_button.disabled = state not in (DeskState.STARTING, DeskState.RUNNING)
        for name, each in self.inputs.items():
            each.disabled = not at_rest or name in self._unheard
        self.state = state
        self.show_header(self._words(state, wrong))
        self.show_error(wrong)

    def _standing(self, refused: CourseError | None) -> tuple[DeskState, BaseException | None]:
        """The server's state, and what is wrong."""
        state, fault = self._keeper.state, self._keeper.fault
        if self._successor:
            return DeskState.REPLACED, None
        if state in ACTIVE:
            return state, fault
        wrong = fault or refused or self._obstacle
        return DeskState.IMPOSSIBLE if isinstance(wrong, EngineMissing) else state, wrong

    def _words(self, state: DeskState, wrong: BaseException | None) -> str:
        keeper = self._keeper
        if state is DeskState.STARTING and keeper.phase:
            return _("starting: {phase}, {seconds:.1f} s").format(phase=keeper.phase, seconds=keeper.elapsed_s)
        seconds = keeper.elapsed_s if state is DeskState.STARTING else (keeper.server and keeper.server.start_s) or 0.0
        # The error box below the header explains how to mend it.
        reason = CLAUSE_END.split(str(wrong))[0]
        return _(DESK_WORDS[state]).format(seconds=seconds, reason=reason)

    def set_state_text(self, state: str) -> None:
        """Show in the header what the panel is doing; ``state`` is a trait of its own here."""
        self.show_header(state)

    def _repr_mimebundle_(self, **wanted: Any) -> dict[str, Any]:
        """What is known of the settings before a start, for saved notebooks."""
        preview, refused = self._look_ahead()
        settings = self.settings()
        head = f"{self.title} · {self._engines}"
        if preview:
            program = python_program(self._desk.engine, settings)
            self.stills = desk_stills(head, settings, self._desk.first, preview, program)
        else:
            self.stills = refused_stills(head, refused)
        return super()._repr_mimebundle_(**wanted)

    def as_table(self) -> str:
        """The state and the settings as plain text."""
        self._drawing.flush()
        width = max(map(len, self.inputs)) + 2
        chosen = [f"{name:<{width}}{value}" for name, value in self.settings().items()]
        return "\n".join([f"{self.title} | {self._engines} | {self._status.text}", *chosen])


_desks: cell.ByCell[Deploy] = cell.ByCell()
