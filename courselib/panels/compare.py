"""The same request to several servers, or to one with other controls, side by side."""

from __future__ import annotations

import ipywidgets as widgets

from courselib.controls.controls import Controls
from courselib.controls.differences import differences
from courselib.controls.route import LOST, Line, Verdict
from courselib.engines.server import Server
from courselib.errors import CourseError, SettingsError
from courselib.i18n import _
from courselib.panels.base import escape
from courselib.panels.column import Column, answer_facts
from courselib.panels.conversation import FIRST_CONTROLS, Conversation
from courselib.panels.deploy import Deploy

FEWEST, MOST = 2, 4
# How narrow a column may become before the next one goes below it, by how many there are; four stand two by two.
NARROWEST = {2: "max(320px, 40%)", 3: "max(260px, 30%)", 4: "max(320px, 40%)"}
STYLE = """<style>
.cl-panel.cl-compare { max-width: none; }
.cl-compare .cl-column { min-width: 0; border-top: 3px solid var(--jp-border-color1, #8888); padding: 4px 0 8px; }
.cl-compare table.cl-differences { border-collapse: collapse; margin: 4px 0; color: inherit; }
.cl-compare table.cl-differences caption { text-align: left; }
.cl-compare table.cl-differences :is(th, td) { padding: 2px 16px 2px 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--jp-border-color2, #8884); }
.cl-compare table.cl-differences th[scope=row] { font-family: var(--jp-code-font-family, monospace); font-weight: 400; }
.cl-compare :is(.widget-html-content, .jupyter-widget-html-content) { min-width: 0; }
.cl-compare table.cl-facts td:nth-child(2) { white-space: nowrap; }
.cl-compare .cl-presets { flex-wrap: wrap; height: auto; width: calc(100% - 4px) !important; }
.cl-compare .cl-presets label { width: auto !important; text-align: left; }
.cl-compare .cl-presets select { flex: 1 1 200px; height: var(--jp-widgets-inline-height, 28px); }
.cl-compare .cl-differences-box { overflow-x: auto; }
</style>"""


class Compare(Conversation):
    """Two to four columns that get one prompt and stream their answers side by side.

    Above them stands in what the calls differ: controls, defaults, and what an engine does not honour.

    Args:
        asked: for each column a server (or a desk), or a pair of one and the controls that its form holds at first.
        prompt, system: what the boxes hold at first.

    Raises:
        SettingsError: there are fewer than two columns, or more than four.
    """

    def __init__(
        self, *asked: Server | Deploy | tuple[Server | Deploy, Controls], prompt: str = "", system: str = ""
    ) -> None:
        if not FEWEST <= len(asked) <= MOST:
            raise SettingsError(_("Compare was given {n} columns; give it two to four servers.").format(n=len(asked)))
        pairs = [entry if isinstance(entry, tuple) else (entry, FIRST_CONTROLS) for entry in asked]
        super().__init__(_("Compare"), pairs, prompt, system)
        self.add_class("cl-compare")
        self.table = widgets.HTML()
        self.heads = [widgets.HTML() for _column in self.columns]
        grid = widgets.GridBox(
            [self._lay_out(head, column) for head, column in zip(self.heads, self.columns, strict=True)],
            layout=widgets.Layout(
                grid_template_columns=f"repeat(auto-fit, minmax(min(100%, {NARROWEST[len(asked)]}), 1fr))",
                grid_gap="8px 20px",
            ),
        )
        buttons = widgets.HBox([self.send_button, self.cancel_button])
        self.lay_out(widgets.HTML(STYLE), self.system, self.prompt, buttons, self.table, grid)
        self._changed()

    @staticmethod
    def _lay_out(head: widgets.HTML, column: Column) -> widgets.Widget:
        result = [column.answer_view, column.facts, column.used_view, column.error_line, column.code]
        box = widgets.VBox([head, column.presets, column.form, *result])
        box.add_class("cl-column")
        return box

    @property
    def names(self) -> list[str]:
        """What the columns are called: by number, since a server may have several."""
        return [f"{number} · {column.engine_name}" for number, column in enumerate(self.columns, 1)]

    def differences(self) -> dict[str, list[Line]]:
        """In what the calls differ: by control, the line of each column's report.

        Raises:
            SettingsError: a form holds what is no value of a control.
        """
        return differences([column.plan() for column in self.columns])

    def _changed(self, change: object = None) -> None:
        super()._changed(change)
        try:
            found = self.differences()
        except CourseError:
            self.table.value = ""  # the column at fault says what is wrong
            return
        self.table.value = _table(self.names, found, self._shares_a_server())

    def _shares_a_server(self) -> bool:
        return len({id(column.source) for column in self.columns}) < len(self.columns)

    def _show_state(self) -> None:
        super()._show_state()
        for name, head, column in zip(self.names, self.heads, self.columns, strict=True):
            model = f" · {escape(column.model)}" if column.model else ""
            head.value = (
                f"<div class='cl-head'><span><b>{escape(name)}</b>{model}</span>"
                f"<span role='status' class='cl-column-state'>{escape(column.state)}</span></div>"
            )

    def ask(self, prompt: str, timeout_s: float = 120) -> list[str]:
        """Send ``prompt`` as if it had been typed, wait for all answers, and return their texts."""
        self.send_and_wait(prompt, timeout_s)
        return [column.text for column in self.columns]

    def as_table(self) -> str:
        """Differences, answers and what was measured of them, as plain text."""
        lines = [super().as_table(), "", f"{'':<22}" + "".join(f"{name:<26}" for name in self.names).rstrip()]
        for control, found in self.differences().items():
            lines.append(f"{control:<22}" + "".join(f"{_cell(line):<26}" for line in found).rstrip())
        for name, column in zip(self.names, self.columns, strict=True):
            lines += ["", f"{name}: {column.state}", column.text]
            facts = answer_facts(column.answer) if column.answer else []
            lines += [f"  {fact}: {value} ({origin})" for fact, value, origin in facts]
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
    """The differences as HTML; each cell tells its whole sentence to whom points at it."""
    if shared:
        note = _("Columns that share a server may wait for each other: their times tell of that, too.")
    else:
        note = _("All are asked at once: engines on one machine share its cores, and their speeds tell of that, too.")
    quiet = f"<p class='cl-quiet'>{escape(note)}</p>"
    if not found:
        return f"<p>{escape(_('All columns make the same call, and its controls mean the same to all.'))}</p>{quiet}"
    heads = "".join(f"<th scope='col'>{escape(name)}</th>" for name in names)
    rows = "".join(
        f"<tr><th scope='row'>{escape(control)}</th>"
        + "".join(f"<td title='{escape(line.text)}'>{escape(_cell(line))}</td>" for line in lines)
        + "</tr>"
        for control, lines in found.items()
    )
    return (
        f"<div class='cl-differences-box'><table class='cl-differences'><caption class='cl-quiet'>"
        f"{escape(_('In what the calls differ'))}</caption>"
        f"<tr><td></td>{heads}</tr>{rows}</table></div>{quiet}"
    )
