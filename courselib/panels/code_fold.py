"""The fold that shows the code which does the same without us."""

from __future__ import annotations

import anywidget
import traitlets

from courselib.i18n import _
from courselib.panels.view import STATIC, script


class CodeFold(anywidget.AnyWidget):
    """A fold with one tab for each program, and a button that copies the one shown.

    Traits:
        programs: name of the client or place -> text of the program; shown in this order.
        notes: sentences below the programs, such as what an engine does not honour.
        selected: the tab shown.
        opened: whether the fold is open.
    """

    _esm = script("code_fold.js", "ids.js")
    _css = STATIC / "code_fold.css"
    programs = traitlets.Dict().tag(sync=True)
    notes = traitlets.List(traitlets.Unicode()).tag(sync=True)
    selected = traitlets.Unicode().tag(sync=True)
    opened = traitlets.Bool(False).tag(sync=True)
    labels = traitlets.Dict().tag(sync=True)

    def __init__(self, programs: dict[str, str] | None = None, *, title: str = "") -> None:
        labels = {"title": title or _("Code"), "copy": _("Copy"), "copied": _("Copied"), "failed": _("Press Ctrl-C")}
        programs = programs or {}
        super().__init__(programs=programs, labels=labels, selected=next(iter(programs), ""))

    @traitlets.observe("programs")
    def _keep_a_tab_selected(self, change: dict[str, dict[str, str]]) -> None:
        if self.selected not in change["new"]:
            self.selected = next(iter(change["new"]), "")

    def __repr__(self) -> str:
        return f"CodeFold({', '.join(self.programs)})"
