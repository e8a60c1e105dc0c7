"""What a panel needs of the page around it: keys that send, names, styles, and a message when its kernel is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from courselib.i18n import _
from courselib.panels.view import STATIC


class Page(anywidget.AnyWidget):
    """Has no view of its own: it listens to the panel that contains it, and loads the panels' style sheet.

    Sliders get the names of their labels, which ipywidgets does not pass to a screen reader. When the kernel ends,
    the panel is greyed and shows how to go on: its buttons would do nothing.
    """

    _esm = STATIC / "page.js"
    _css = STATIC / "page.css"
    labels = traitlets.Dict().tag(sync=True)
    submits = traitlets.Bool(False).tag(sync=True)

    def __init__(self) -> None:
        super().__init__(labels={"lost": _("The kernel behind this panel has ended. Run this cell again.")})

    def submit_to(self, act: Callable[[str | None], None]) -> None:
        """Have Ctrl+Enter (or Shift+Enter) in a box of text press the panel's first button.

        Args:
            act: called with the prompt as the page has it, when the keys were pressed there, or the button of a panel
                that has a prompt; else with ``None``.
        """

        def heard(_widget: object, content: dict[str, Any], _buffers: object) -> None:
            if content.get("kind") == "submit":
                act(content.get("prompt"))

        self.on_msg(heard)
        self.submits = True

    def __repr__(self) -> str:
        return "Page()"
