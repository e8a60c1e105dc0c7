"""How a panel stands, in words that are seen and spoken."""

from __future__ import annotations

import anywidget
import traitlets

from courselib.panels.view import STATIC


class StatusLine(anywidget.AnyWidget):
    """A panel's state. Screen readers speak it when its words change, and not for each number in them.

    Traits:
        text: what is said.
    """

    _esm = STATIC / "status.js"
    _css = STATIC / "status.css"
    text = traitlets.Unicode().tag(sync=True)

    def __repr__(self) -> str:
        return f"StatusLine({self.text!r})"
