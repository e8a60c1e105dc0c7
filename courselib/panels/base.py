"""What all panels have in common: a header, a place for errors, a fixed repr and a readable twin in text."""

from __future__ import annotations

import html
import traceback
from collections.abc import Callable

import ipywidgets as widgets

from courselib.engines.registry import engine_words
from courselib.errors import CourseError
from courselib.i18n import _

# JupyterLab's colours where they are, else the page's own: readable in light and dark themes everywhere.
STYLE = """<style>
.cl-panel { border: 1px solid var(--jp-border-color2, #8888); border-radius: 6px; padding: 8px 12px; max-width: 960px; }
.cl-panel .widget-html-content, .cl-panel .jupyter-widget-html-content { line-height: 1.5; }
.cl-panel .cl-head { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: baseline; }
.cl-panel .cl-title { font-weight: 600; font-size: 1.1em; }
.cl-panel .cl-badge { border: 1px solid currentColor; border-radius: 9px; padding: 0 8px; font-size: .85em;
  opacity: .8; }
.cl-panel .cl-error { border-left: 4px solid #d55e00; padding: 2px 8px; }
.cl-panel .cl-quiet { opacity: .75; font-size: .9em; }
.cl-panel .cl-newest { display: flex; flex-direction: column-reverse; max-height: 12em; overflow: auto; }
.cl-panel pre.cl-log { margin: 0; padding: 6px 8px; white-space: pre-wrap;
  overflow-wrap: anywhere; font-family: var(--jp-code-font-family, monospace); font-size: 11px; line-height: 1.35;
  color: inherit; background: var(--jp-layout-color2, #8881); border-radius: 4px; }
.cl-panel :is(table.cl-facts, table.cl-told) { border-collapse: collapse; margin: 0; font-variant-numeric: tabular-nums;
  color: inherit; }
.cl-panel :is(table.cl-facts, table.cl-told) :is(td, th) { padding: 1px 14px 1px 0; text-align: left; border: 0; }
.cl-panel summary { cursor: pointer; }
</style>"""


def escape(text: object) -> str:
    """Text for use inside HTML."""
    return html.escape(str(text))


def facts_table(rows: list[tuple[str, str, str]]) -> str:
    """Rows of name, value and where the value comes from, as an HTML table."""
    cells = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td><td class='cl-quiet'>{escape(origin)}</td></tr>"
        for name, value, origin in rows
    )
    return f"<table class='cl-facts'>{cells}</table>"


def error_line(error: BaseException) -> str:
    """An error as HTML: one sentence, with its details folded."""
    if isinstance(error, CourseError):
        message, details = error.message, error.details
    else:
        message, details = f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error))
    fold = (
        f"<details><summary>{escape(_('Details'))}</summary>"
        f"<div class='cl-newest' tabindex='0'><pre class='cl-log'>{escape(details)}</pre></div></details>"
        if details
        else ""
    )
    return f"<div class='cl-error' role='alert'>{escape(message)}{fold}</div>"


def button(label: str, icon: str, css: str, handler: Callable[..., None]) -> widgets.Button:
    """A button with an icon, a class to find it by, and what a click does."""
    button = widgets.Button(description=label, icon=icon)
    button.add_class(css)
    button.on_click(handler)
    return button


class Panel(widgets.VBox):
    """Base of the panels.

    Args:
        title: the panel's name for people.
        engine: the engine it talks to, or several, with commas between them.
        origin: where its numbers come from: measured, simulated, quoted or recorded.
    """

    def __init__(self, title: str, engine: str, origin: str) -> None:
        self.title, self.engine_name, self.origin = title, engine, origin
        self._engines = ", ".join(engine_words(name) for name in engine.split(", "))
        self._model = ""
        self._header = widgets.HTML()
        self._error = widgets.HTML()
        self._error.add_class("cl-error-line")
        self.state = _("ready")
        super().__init__()
        self.add_class("cl-panel")
        self.set_state_text(self.state)

    def lay_out(self, *children: widgets.Widget) -> None:
        """Put the panel's own widgets between its header and its place for errors."""
        self.children = (widgets.HTML(STYLE), self._header, *children, self._error)

    def set_state_text(self, state: str) -> None:
        """Say in the header what the panel is doing."""
        self.state = state
        engine = " · ".join(filter(None, (self._engines, self._model)))
        self._header.value = (
            f"<div class='cl-head'><span class='cl-title'>{escape(self.title)}</span>"
            f"<span>{escape(engine)}</span><span role='status' class='cl-state'>{escape(state)}</span>"
            f"<span class='cl-badge'>{escape(self.origin)}</span></div>"
        )

    def set_model(self, model: str) -> None:
        """Say in the header which model it is about."""
        if model != self._model:
            self._model = model
            self.set_state_text(self.state)

    def show_error(self, error: BaseException | None) -> None:
        """Show an error as one sentence with its details folded; ``None`` clears it."""
        self._error.value = "" if error is None else error_line(error)

    def as_table(self) -> str:
        """The panel's state as plain text: for screen readers, static pages and tests."""
        return f"{self.title} | {self._engines} | {self.state}"

    def __repr__(self) -> str:
        # Fixed: it is what notebooks show where there is no front end, and outputs are compared.
        return f"{type(self).__name__}(engine={self.engine_name!r})"
