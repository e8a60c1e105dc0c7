"""Plotly figures that open fast, call nobody, and read in light and dark themes.

A ``FigureWidget`` carries plotly's whole JavaScript, 5 MB, in its own state; five on a page are 25 MB and twenty
seconds. Here the bundle is the state of one widget, sent once, and every figure of the page takes it from there.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets as widgets
import traitlets

from courselib.i18n import _
from courselib.panels.base import escape
from courselib.panels.drawing import INK
from courselib.panels.lines import COLOURS
from courselib.panels.view import STATIC

if TYPE_CHECKING:
    import plotly.graph_objects as go

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
FAINT, FAINTER = "rgba(128,132,136,.5)", "rgba(128,132,136,.25)"
FONTS = "system-ui, Segoe UI, Helvetica, Arial, sans-serif, Noto Sans TC, Noto Sans CJK TC, PingFang TC"
HEIGHT_PX = 320
CONFIG = {
    "displaylogo": False,
    "responsive": True,
    # Plotly's own upload button sends the chart to a server.
    "modeBarButtonsToRemove": ["sendChartToCloud", "lasso2d", "select2d"],
}


@contextlib.contextmanager
def _without_iri_grammar() -> Iterator[None]:
    """Spare plotly's import the second or two in which jsonschema compiles a grammar for addresses.

    Plotly wants nbformat, that jsonschema, and that ``rfc3987_syntax``, if it is there; nobody here uses it.
    """
    name = "rfc3987_syntax"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def _plotly() -> Any:
    """``plotly.graph_objects``, with what its widgets need."""
    import plotly.graph_objects as go

    with _without_iri_grammar():
        import plotly.basewidget  # noqa: F401 - graph_objects would load it when a widget is made
    return go


@cache
def template() -> go.layout.Template:
    """Looks that read in light and dark themes: no ground of its own, grey lines, a palette for everyone.

    Traces differ by symbol and dash too, for whom colours are not enough.
    """
    go = _plotly()
    axis = {"gridcolor": FAINTER, "zerolinecolor": FAINT, "linecolor": FAINT, "automargin": True}
    scatter = [
        go.Scatter(line={"dash": dash}, marker={"symbol": symbol, "size": 8})
        for dash, symbol in zip(DASHES, SYMBOLS, strict=True)
    ]
    return go.layout.Template(
        data={"scatter": scatter},
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": INK, "size": 13, "family": FONTS},
            "colorway": COLOURS,
            "xaxis": axis,
            "yaxis": axis,
            "legend": {"bgcolor": "rgba(0,0,0,0)"},
            "margin": {"l": 60, "r": 20, "t": 48, "b": 50},
            "autosize": True,
        },
    )


class _Bundle(anywidget.AnyWidget):
    """Carries plotly's JavaScript to the page; never shown."""

    _esm = "export default { render() {} };"
    source = traitlets.Unicode().tag(sync=True)


@cache
def _bundle() -> _Bundle:
    """The one bundle of this kernel."""
    from plotly.basewidget import BaseFigureWidget

    return _Bundle(source=str(BaseFigureWidget._esm))


@cache
def _figure_type() -> Any:
    """A FigureWidget without a bundle of its own; plotly's own before version 6, which has none."""
    import plotly

    go = _plotly()
    if not hasattr(go.FigureWidget, "_esm"):
        return go.FigureWidget

    class Figure(go.FigureWidget):  # type: ignore[name-defined]
        _esm = STATIC / "figure.js"
        _css = STATIC / "figure.css"
        _bundle = traitlets.Unicode().tag(sync=True)
        _plotly = traitlets.Unicode(plotly.__version__).tag(sync=True)

        @traitlets.default("_bundle")
        def _share(self) -> str:
            return str(_bundle().model_id)

    return Figure


class Picture(widgets.VBox):
    """A plotly figure in a notebook, with a text twin.

    ``figure`` is the ``FigureWidget``; change it as plotly teaches, and the picture follows.

    Args:
        traces: plotly traces.
        table: the same as readable text, for screen readers and static pages.
        layout: arguments of the figure's layout; name the axes, with units.
    """

    def __init__(self, traces: list[Any], *, table: str = "", **layout: Any) -> None:
        if hasattr(_figure_type(), "_share"):
            _bundle()  # on its way before the first figure that asks for it
        self.figure = _figure_type()(traces, layout={"template": template(), "height": HEIGHT_PX, **layout})
        self.figure._config = {**(self.figure._config or {}), **CONFIG}
        self.figure.add_class("cl-figure")
        self.table = table
        super().__init__(children=[self.figure, *([_twin(table)] if table else [])])

    def as_table(self) -> str:
        """The picture as text."""
        return self.table

    def __repr__(self) -> str:
        # Fixed: it is what notebooks show where there is no front end, and outputs are compared.
        return f"Picture({self.figure.layout.title.text or ''!r})"


def _twin(table: str) -> widgets.HTML:
    """The picture's numbers, folded: a screen reader finds no sense in a drawing."""
    return widgets.HTML(
        f"<details><summary>{escape(_('The same as text'))}</summary>"
        f"<pre style='color: inherit; line-height: 1.4'>{escape(table)}</pre></details>"
    )
