"""What all panels have in common: a header, a place for errors, a fixed repr and a readable twin in text."""

from __future__ import annotations

import html
import traceback
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from courselib.engines.registry import engine_words
from courselib.errors import CourseError
from courselib.i18n import _
from courselib.panels.page import Page
from courselib.panels.status import StatusLine

# JupyterLab's colours where they are, else the page's own: readable in light and dark themes everywhere.
STYLE = """<style>
.cl-panel { border: 1px solid var(--jp-border-color2, #8888); border-radius: 6px; padding: 8px 12px; max-width: 960px; }
.cl-panel .widget-html-content, .cl-panel .jupyter-widget-html-content { line-height: 1.5; }
.cl-panel .cl-head { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: baseline; }
.cl-panel .cl-engine-name { margin-left: 12px; }
.cl-panel .cl-title { font-weight: 600; font-size: 1.1em; }
.cl-panel .cl-badge { border: 1px solid currentColor; border-radius: 9px; padding: 0 8px; font-size: .85em;
  opacity: .8; }
.cl-panel .cl-error { border-left: 4px solid #d55e00; padding: 2px 8px; }
.cl-panel .cl-quiet { opacity: .75; font-size: .9em; }
.cl-panel .cl-newest { display: flex; flex-direction: column-reverse; max-height: 20em; overflow: auto; }
.cl-panel pre.cl-log { margin: 0; flex: none; padding: 6px 8px; white-space: pre-wrap;
  overflow-wrap: anywhere; font-family: var(--jp-code-font-family, monospace); font-size: 13px; line-height: 1.4;
  color: inherit; background: var(--jp-layout-color2, #8881); border-radius: 4px; }
.cl-panel :is(table.cl-facts, table.cl-told) { border-collapse: collapse; margin: 0; font-variant-numeric: tabular-nums;
  color: inherit; }
.cl-panel :is(table.cl-facts, table.cl-told) :is(td, th) { padding: 1px 14px 1px 0; text-align: left; border: 0; }
.cl-deploy table.cl-facts :is(th, td:nth-child(2)) { white-space: nowrap; }
.cl-panel summary { cursor: pointer; }
</style>"""

# A live panel, as notebooks name it.
VIEW = "application/vnd.jupyter.widget-view+json"


def escape(text: object) -> str:
    """Text for use inside HTML."""
    return html.escape(str(text))


def facts_table(rows: list[tuple[str, str, str]]) -> str:
    """Rows of name, value and where the value comes from, as an HTML table."""
    cells = "".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{escape(value)}</td>"
        f"<td class='cl-quiet'>{escape(origin)}</td></tr>"
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
        self.title, self.engine_name = title, engine
        self._engines = ", ".join(engine_words(name) for name in engine.split(", "))
        self._model = self._said = ""
        self._header = widgets.HTML()
        self._status = StatusLine()
        self._badge = widgets.HTML()
        self.set_origin(origin)
        # By kind, what a saved notebook shows instead of the panel besides its repr.
        self.stills: dict[str, str] = {}
        self._head = widgets.HBox([self._header, self._status, self._badge])
        self._head.add_class("cl-head")
        self._remark = widgets.HTML(layout={"display": "none"})
        self._remark.add_class("cl-remark")
        self._error = widgets.HTML()
        self._error.add_class("cl-error-line")
        self.page = Page()
        super().__init__()
        self.add_class("cl-panel")
        self.set_state_text(_("ready"))

    def lay_out(self, *children: widgets.Widget) -> None:
        """Put the panel's own widgets below its header and its place for errors."""
        # What is wrong stands where the eye is: below the head, and not below what the panel shows.
        self.children = (widgets.HTML(STYLE), self._head, self._error, self._remark, *children, self.page)

    def set_state_text(self, state: str) -> None:
        """Say in the header what the panel is doing."""
        self.state = state
        self.show_header(state)

    def show_header(self, state: str) -> None:
        """Show title, engine, model and where numbers come from, and how the panel stands."""
        self._status.text = state
        engine = " · ".join(filter(None, (self._engines, self._model)))
        self._header.value = (
            f"<span class='cl-title'>{escape(self.title)}</span><span class='cl-engine-name'>{escape(engine)}</span>"
        )

    def set_origin(self, origin: str) -> None:
        """Say in the header where the numbers come from."""
        self.origin = origin
        self._badge.value = f"<span class='cl-badge'>{escape(origin)}</span>"

    def set_model(self, model: str) -> None:
        """Say in the header which model it is about."""
        if model != self._model:
            self._model = model
            self.show_header(self._status.text)

    @property
    def remark(self) -> str:
        """What is to be known of the model; empty where there is nothing."""
        return self._said

    def set_remark(self, words: str) -> None:
        """Say below the header what is to be known of the model; nothing clears it."""
        self._said = words
        self._remark.value = f"<div role='note' class='cl-quiet'>{escape(words)}</div>"
        self._remark.layout.display = "" if words else "none"

    def show_error(self, error: BaseException | None) -> None:
        """Show an error as one sentence with its details folded; ``None`` clears it."""
        self._error.value = "" if error is None else error_line(error)

    def as_table(self) -> str:
        """The panel's state as plain text: for screen readers, static pages and tests."""
        head = " | ".join(filter(None, (self.title, self._engines, self.state)))
        return "\n".join(filter(None, (head, self.remark)))

    # ipywidgets 7 has a way of its own, which knows nothing of pictures.
    _ipython_display_ = None

    def _repr_mimebundle_(self, **_wanted: Any) -> dict[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return {"text/plain": repr(self), **self.stills, VIEW: view}

    def __repr__(self) -> str:
        # Fixed: it is what notebooks show where there is no front end, and outputs are compared.
        return f"{type(self).__name__}(engine={self.engine_name!r})"
