"""The same request to several servers, or to one with other controls, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets as widgets
import traitlets

from courselib.controls.controls import Controls
from courselib.controls.differences import differences
from courselib.controls.route import Line
from courselib.engines.server import Server
from courselib.errors import CourseError, PanelBusy, SettingsError
from courselib.i18n import N_, _
from courselib.panels import compare_recording
from courselib.panels.base import Panel, button
from courselib.panels.column import Column
from courselib.panels.compare_recording import FEWEST, MOST, PANEL, CompareRecording, places
from courselib.panels.compare_view import column_name, differences_html, text_lines
from courselib.panels.experiment import ROW
from courselib.panels.fields import Text, fields_of
from courselib.panels.fold import Fold
from courselib.panels.recording import NoServer
from courselib.panels.server_facts import FACTS_WAIT_S, wait_for_facts
from courselib.panels.state import WORDS, State
from courselib.panels.worker import Coalescer

if TYPE_CHECKING:
    from courselib.panels.deploy import Deploy

# How narrow a column may become before the next one goes below it, by how many there are; four stand two by two.
NARROWEST = {2: "max(320px, 40%)", 3: "max(260px, 30%)", 4: "max(320px, 40%)"}
# What all columns together are: the first of these that one of them is.
ORDER = (
    State.BUSY, State.FAILED, State.CANCELLED, State.WAITING, State.READY, State.DONE, State.RECORDED,
)  # fmt: skip


class Compare(Panel):
    """Two to four columns that get one prompt and stream their answers side by side.

    Each column is an experiment of its own, with its server, controls and answer; prompt, system prompt, Send and
    Cancel are common to all. Above the columns stands in what the requests differ: controls, defaults, and what an
    engine does not honour.

    Args:
        asked: for each column a server (or a ``Deploy`` panel), or a pair of one and the controls in its form at first.
        prompt, system: what the boxes hold at first, where that is not what was recorded.
        recording: answers that are shown as long as no server has given others: a file that ``record`` wrote, or one of
            the course's own. Recorded columns of engines that are not in ``asked`` are added behind it.

    Raises:
        SettingsError: there are fewer than two columns, or more than four, or the recording cannot be opened.
    """

    prompt = Text("", rows=3, label=N_("Prompt"), help=N_("the prompt for all servers; Ctrl+Enter sends it"))
    system = Text("", label=N_("System prompt"), help=N_("instructions that come before the prompt"))
    state = traitlets.UseEnum(State, State.READY)

    def __init__(
        self,
        *asked: Server | Deploy | tuple[Server | Deploy, Controls],
        prompt: str | None = None,
        system: str | None = None,
        recording: str | Path | None = None,
    ) -> None:
        kept = None if recording is None else compare_recording.read(recording)
        opened = places([entry if isinstance(entry, tuple) else (entry, None) for entry in asked], kept)
        if not FEWEST <= len(opened) <= MOST:
            raise SettingsError(_("Compare was given {n} columns; give it two to four servers.").format(n=len(opened)))
        super().__init__(_("Compare"), ", ".join(each.source.engine_name for each in opened), _("measured"))
        self.add_class("cl-compare")
        self._drawing = Coalescer(self._draw)
        self.columns = [Column(at, each.source, each.controls, each.recording) for at, each in enumerate(opened, 1)]
        first = kept.asked if kept else {"prompt": "", "system": ""}
        self.prompt = first["prompt"] if prompt is None else prompt
        self.system = first["system"] if system is None else system
        self.stills = kept.stills() if kept else {}
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
        """What the columns are called."""
        return [column_name(column.title, column.engine_name) for column in self.columns]

    @property
    def is_busy(self) -> bool:
        """Whether a column is answering."""
        return any(column.is_busy for column in self.columns)

    @property
    def asking(self) -> list[Column]:
        """The columns that Send asks: those that are not a recording alone; all of them, if there is no other."""
        return [column for column in self.columns if not isinstance(column.source, NoServer)] or self.columns

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
        for column in self.asking:
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
        states = {column.state for column in self.asking}
        self.state = State.BUSY if busy else next(state for state in ORDER if state in states)
        self.show_header(_("answering") if busy else _(WORDS[self.state]))
        self.set_origin(self._origins())
        self.set_remark("\n".join(dict.fromkeys(column.remark for column in self.columns if column.remark)))
        try:
            self.table.value = differences_html(self.names, self._differences(), shared=self._shares_a_server())
        except CourseError:
            self.table.value = ""  # the column at fault says what is wrong

    def set_state_text(self, state: str) -> None:
        """Say in the header what the panel is doing; ``state`` is a trait of its own here."""
        self.show_header(state)

    def _shares_a_server(self) -> bool:
        return len({id(column.source) for column in self.columns}) < len(self.columns)

    def _origins(self) -> str:
        """Where the numbers come from; by column, where that is not the same for all."""
        origins = [column.origin for column in self.columns]
        if len(set(origins)) == 1:
            return origins[0]
        return "; ".join(f"{column.title}: {origin}" for column, origin in zip(self.columns, origins, strict=True))

    def record(self, path: str | Path, *, hardware: str = "") -> Path:
        """Write the answers at hand as a recording, a JSON file of at most 100 kB.

        Args:
            path: the file.
            hardware: what the servers run on; found out by itself where that is this machine.

        Raises:
            SettingsError: a column has no answer, they are too large, or a server is on another machine.
            Unreachable: a column has no server that runs.
        """
        columns = [replace(column.as_recording(hardware), panel=PANEL) for column in self.columns]
        return CompareRecording(tuple(columns), tuple(_numbered(self.columns))).write(Path(path))

    def as_table(self) -> str:
        """Differences, answers and what was measured of them, as plain text."""
        self._drawing.flush()
        head = [f"{self.title} | {self._engines} | {self.state.value}", *([self.remark] if self.remark else []), ""]
        states = [each.origin if each.state is State.RECORDED else each.state.value for each in self.columns]
        replies = [column.result for column in self.columns]
        return "\n".join([*head, *text_lines(self.names, self.differences(), states, replies)])

    def __repr__(self) -> str:
        return f"Compare({self.engine_name})"


def _numbered(columns: Sequence[Column]) -> list[int]:
    """By column a number for its server, from 1."""
    numbers: dict[int, int] = {}
    return [numbers.setdefault(id(column.server), len(numbers) + 1) for column in columns]
