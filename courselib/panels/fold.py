"""What is rarely needed, behind one line that opens and closes it."""

from __future__ import annotations

import anywidget
import ipywidgets as widgets
import traitlets

from courselib.panels.view import STATIC


class FoldHead(anywidget.AnyWidget):
    """The line that opens and closes what stands below it; the page does so by itself, without the kernel.

    Traits:
        title: what is read.
        opened: whether it is open.
    """

    _esm = STATIC / "fold.js"
    _css = STATIC / "fold.css"
    title = traitlets.Unicode().tag(sync=True)
    opened = traitlets.Bool(False).tag(sync=True)

    def __repr__(self) -> str:
        return f"FoldHead({self.title!r})"


class Fold(widgets.VBox):
    """Widgets that are folded away at first.

    Args:
        title: what is read.
        content: what is shown once it is open.
    """

    def __init__(self, title: str, *content: widgets.Widget) -> None:
        self.head = FoldHead(title=title)
        super().__init__([self.head, *content])
        self.add_class("cl-fold")
