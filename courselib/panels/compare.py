"""The same request to several servers, or to one with other controls, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ipywidgets as widgets
import traitlets

from courselib.controls.controls import Controls
from courselib.controls.differences import differences
from courselib.controls.route import LOST, Line, Verdict
from courselib.engines.server import Server
from courselib.errors import CourseError, PanelBusy, SettingsError
from courselib.i18n import N_, _
from courselib.panels.base import Panel, button, escape
from courselib.panels.column import Column
from courselib.panels.experiment import ROW
from courselib.panels.fields import Text, fields_of
from courselib.panels.fold import Fold
from courselib.panels.playground import FIRST_CONTROLS
from courselib.panels.server_facts import FACTS_WAIT_S, wait_for_facts
from courselib.panels.state import WORDS, State
from courselib.panels.tables import Cell, Titled, table_html
from courselib.panels.worker import Coalescer

if TYPE_CHECKING:
    from courselib.panels.deploy import Deploy

FEWEST, MOST = 2, 4
# How narrow a column may become before the next one goes below it, by how many there are; four stand two by two.
NARROWEST = {2: "max(320px, 40%)", 3: "max(260px, 30%)", 4: "max(320px, 40%)"}
# What all columns together are: the first of these that one of them is.
ORDER = (State.BUSY, State.FAILED, State.CANCELLED, State.WAITING, State.READY, State.DONE)


class Compare(Panel):
    """Two to four columns that get one prompt and stream their answers side by side.

    Each column is an experiment of its own, with its server, controls and answer; prompt, system prompt, Send and
    Cancel are common to all. Above the columns stands in what the requests differ: controls, defaults, and what an
    engine does not honour.

    Args:
        asked: for each column a server (or a ``Deploy`` panel), or a pair of one and the controls in its form at first.
        prompt, system: what the boxes hold at first.

    Raises:
        SettingsError: there are fewer than two columns, or more than four.
    """

    prompt = Text("", rows=3, label=N_("Prompt"), help=N_("the prompt for all servers; Ctrl+Enter sends it"))
    system = Text("", label=N_("System prompt"), help=N_("instructions that come before the prompt"))
    state = traitlets.UseEnum(State, State.READY)

    def __init__(
        self, *asked: Server | Deploy | tuple[Server | Deploy, Controls], prompt: str = "", system: str = ""
    ) -> None:
        if not FEWEST <= len(asked) <= MOST:
            raise SettingsError(_("Compare was given {n} columns; give it two to four servers.").format(n=len(asked)))
        pairs = [entry if isinstance(entry, tuple) else (entry, FIRST_CONTROLS) for entry in asked]
        super().__init__(_("Compare"), ", ".join(source.engine_name for source, _controls in pairs), _("measured"))
        self.add_class("cl-compare")
        self._drawing = Coalescer(self._draw)
        self.columns = [Column(at, source, controls) for at, (source, controls) in enumerate(pairs, 1)]
        self.prompt, self.system = prompt, system
        self.inputs = {name: field.widget(self) for name, field in fields_of(Compare).items()}
        self.run_button = button(_("Send"), "paper-plane", "cl-run", lambda _button: self._press())
        self.run_button.button_style = "primary"
        self.cancel_button = button(_("Cancel"), "times", "cl-cancel", lambda _button: self.cancel())
        self.table = widgets.HTML()
        self._arrange()
        for column in self.columns:
            column.observe(self._touch, "state")
            column.form.observe(self._touch, ["entries", "report"])
        self._drawing.touch()

    def _arrange(self) -> None:
        columns = f"repeat(auto-fit, minmax(min(100%, {NARROWEST[len(self.columns)]}), 1fr))"
        grid = widgets.GridBox(self.columns, layout=widgets.Layout(grid_template_columns=columns, grid_gap="8px 20px"))
        buttons = widgets.HBox([self.run_button, self.cancel_button], layout=widgets.Layout(**ROW))
        rare = Fold(_("More settings"), self.inputs["system"])
        self.lay_out(self.inputs["prompt"], buttons, rare, self.table, grid)
        self.page.submit_to(self._press)

    @traitlets.observe("prompt", "system")
    def _hand_on(self, change: dict[str, str]) -> None:
        for column in self.columns:
            setattr(column, change["name"], change["new"])

    @property
    def names(self) -> list[str]:
        """What the columns are called: by number, since a server may have several."""
        return [f"{column.title} · {column.engine_name}" for column in self.columns]

    @property
    def is_busy(self) -> bool:
        """Whether a column is answering."""
        return any(column.is_busy for column in self.columns)

    def differences(self) -> dict[str, list[Line]]:
        """Where the requests differ: by control, the line of each column's report.

        Raises:
            SettingsError: a form holds what is no value of a control.
        """
        for column in self.columns:
            if server := column.source if isinstance(column.source, Server) else column.source.server:
                wait_for_facts(server, FACTS_WAIT_S)
        return self._differences()

    def _differences(self) -> dict[str, list[Line]]:
        return differences([column.plan() for column in self.columns])

    def start(self) -> None:
        """Ask all, in the background; a column that cannot be asked says why, and the others answer.

        Raises:
            PanelBusy: one is answering.
        """
        if self.is_busy:
            raise PanelBusy(_("This panel is still at work; wait for its end, or press Cancel."))
        for column in self.columns:
            column.attempt(column.start)

    def cancel(self) -> None:
        """Break off all answers under way."""
        for column in self.columns:
            column.cancel()

    def wait(self, timeout_s: float = 120) -> None:
        """Wait until the answers under way are done; raises what the first column to fail has raised."""
        faults: list[BaseException] = []
        for column in self.columns:
            try:
                column.wait(timeout_s)
            except Exception as error:  # noqa: BLE001 - raised below, when all have ended
                faults.append(error)
            else:
                faults += [column.fault] if column.fault else []
        self._drawing.flush()
        if faults:
            raise faults[0]

    def ask(self, prompt: str, timeout_s: float = 120) -> list[str]:
        """Send ``prompt`` as if it had been typed, wait for all answers, and return their texts."""
        self.prompt = prompt
        self.start()
        self.wait(timeout_s)
        return [column.result.text if column.result else "" for column in self.columns]

    def _press(self, prompt: str | None = None) -> None:
        if prompt is not None:
            self.prompt = prompt
        if not self.is_busy:
            self.start()

    def _touch(self, _change: object) -> None:
        self._drawing.touch()

    def _draw(self) -> None:
        """By the coalescer alone; it takes nothing of a column's own drawing, which may be what calls it."""
        busy = self.is_busy
        self.run_button.disabled, self.cancel_button.disabled = busy, not busy
        states = {column.state for column in self.columns}
        self.state = State.BUSY if busy else next(state for state in ORDER if state in states)
        self.show_header(_("answering") if busy else _(WORDS[self.state]))
        self.set_remark("\n".join(dict.fromkeys(column.remark for column in self.columns if column.remark)))
        try:
            self.table.value = _table(self.names, self._differences(), self._shares_a_server())
        except CourseError:
            self.table.value = ""  # the column at fault says what is wrong

    def set_state_text(self, state: str) -> None:
        """Say in the header what the panel is doing; ``state`` is a trait of its own here."""
        self.show_header(state)

    def _shares_a_server(self) -> bool:
        return len({id(column.source) for column in self.columns}) < len(self.columns)

    def as_table(self) -> str:
        """Differences, answers and what was measured of them, as plain text."""
        self._drawing.flush()
        head = [f"{self.title} | {self._engines} | {self.state.value}", *([self.remark] if self.remark else []), ""]
        lines = [*head, f"{'':<22}" + "".join(f"{name:<26}" for name in self.names).rstrip()]
        for control, found in self.differences().items():
            lines.append(f"{control:<22}" + "".join(f"{_cell(line):<26}" for line in found).rstrip())
        for name, column in zip(self.names, self.columns, strict=True):
            lines += ["", f"{name}: {column.state.value}"]
            if reply := column.result:
                lines += [reply.text, *(f"  {fact}: {value} ({origin})" for fact, value, origin in reply.facts)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Compare({self.engine_name})"


def _cell(line: Line) -> str:
    """What becomes of a control, in few words."""
    word = _(line.verdict.value)
    if line.verdict in LOST:
        return word
    value = _(line.applies) if isinstance(line.applies, str) else repr(line.applies)
    return value if line.verdict is Verdict.SENT else f"{value} ({word})"


def _table(names: list[str], found: dict[str, list[Line]], shared: bool) -> str:
    """The differences as HTML; each cell shows its whole sentence under the pointer."""
    if shared:
        note = _("Columns that share a server may wait for each other: this affects their times, too.")
    else:
        note = _("All are asked at once: engines on one machine share its cores, and this affects their speeds, too.")
    quiet = f"<p class='cl-quiet'>{escape(note)}</p>"
    if not found:
        return f"<p>{escape(_('All columns make the same call, and its controls have the same effect.'))}</p>{quiet}"
    rows: list[list[Cell]] = [
        [control, *(Titled(_cell(line), line.text) for line in lines)] for control, lines in found.items()
    ]
    table = table_html(("", *names), rows, css="cl-differences", caption=_("Where the requests differ"))
    return f"<div class='cl-differences-box'>{table}</div>{quiet}"
