"""Plotly figures that open fast and call nobody.

A ``FigureWidget`` carries plotly's whole JavaScript, 5 MB, in its own state; five on a page are 25 MB and twenty
seconds. Where one page holds all outputs (JupyterLab, Notebook), the bundle is sent once, by a loader, and every
figure takes it from there. Where each output is a page of its own (Colab), nothing can be shared and a plain
``FigureWidget`` is shown.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from courselib import environment

if TYPE_CHECKING:
    import anywidget
    import plotly.graph_objects as go

# Okabe and Ito's colours, told apart by the colour-blind (jfly.uni-koeln.de/color, 2008).
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
# Grey with contrast 4.5:1 and more on both white and JupyterLab's dark ground.
INK = "#808488"
CONFIG = {
    "displaylogo": False,
    # Plotly's own upload button sends the chart to a server.
    "modeBarButtonsToRemove": ["sendChartToCloud", "lasso2d", "select2d"],
}
BUNDLE_EXPORT = re.compile(r"export\s*\{[^}]*?(\w+) as default\s*\};?")


def template() -> go.layout.Template:
    """Looks that read in light and dark themes: no ground of its own, grey ink, a palette for everyone."""
    import plotly.graph_objects as go

    axis = {"gridcolor": "rgba(128,132,136,.25)", "zerolinecolor": "rgba(128,132,136,.5)", "automargin": True}
    return go.layout.Template(
        layout={
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": INK, "size": 13, "family": "sans-serif, Noto Sans CJK TC"},
            "colorway": PALETTE,
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 60, "r": 20, "t": 40, "b": 50},
            "height": 320,
        }
    )


@cache
def _shared_classes() -> tuple[type[anywidget.AnyWidget], type[go.FigureWidget]]:
    """The loader that carries plotly's bundle, and a figure that waits for it."""
    import anywidget
    import plotly.graph_objects as go
    from plotly.basewidget import BaseFigureWidget

    source = str(BaseFigureWidget._esm)
    export = list(BUNDLE_EXPORT.finditer(source))[-1]
    publish = f"globalThis.__courselib_plotly_ready?.({export[1]});globalThis.__courselib_plotly ??= {export[1]};"

    class Loader(anywidget.AnyWidget):
        """Carries plotly's bundle to the page."""

        _esm = source.replace(export[0], "") + publish + "export default { render() {} };"

        def __repr__(self) -> str:
            return ""

    class Figure(go.FigureWidget):
        """A FigureWidget without a bundle of its own."""

        _esm = (
            "export default async () => {"
            "if (!globalThis.__courselib_plotly) await ("
            "globalThis.__courselib_plotly_wait ??= new Promise(done => globalThis.__courselib_plotly_ready = done));"
            "return globalThis.__courselib_plotly ? globalThis.__courselib_plotly() : "
            "(await globalThis.__courselib_plotly_wait)(); }"
        )

    return Loader, Figure


@cache
def _loader() -> anywidget.AnyWidget:
    return _shared_classes()[0]()


class Picture(widgets.VBox):
    """A plotly figure in a notebook, with a text twin.

    Args:
        traces: plotly traces.
        table: the same as readable text, for screen readers and static pages.
        layout: arguments of the figure's layout; name the axes, with units.
    """

    def __init__(self, traces: list[Any], *, table: str = "", **layout: Any) -> None:
        import plotly.graph_objects as go

        shared = environment.place() != "colab" and hasattr(go.FigureWidget, "_esm")
        figure_type = _shared_classes()[1] if shared else go.FigureWidget
        self.figure = figure_type(traces, layout={"template": template(), **layout})
        self.figure._config = {**(self.figure._config or {}), **CONFIG}
        self.table = table
        children = [_loader(), self.figure] if shared else [self.figure]
        super().__init__(children=children)

    def as_table(self) -> str:
        """The picture as text."""
        return self.table

    def __repr__(self) -> str:
        return self.table or "Picture()"


def next_token_picture(alternatives: list[tuple[str, float]], *, title: str = "") -> Picture:
    """Bars of the likeliest next tokens.

    Args:
        alternatives: tokens and their probabilities (0 to 1), likeliest first.
        title: above the bars.
    """
    import plotly.graph_objects as go

    from courselib.i18n import _

    shown = [f"{token!r}" for token, _probability in alternatives]
    values = [100 * probability for _token, probability in alternatives]
    table = "\n".join(f"{token:<16}{value:6.1f} %" for token, value in zip(shown, values, strict=True))
    bars = go.Bar(
        x=values,
        y=shown,
        orientation="h",
        text=[f"{v:.1f} %" for v in values],
        textposition="outside",
        cliponaxis=False,
    )
    return Picture(
        [bars],
        table=table,
        title=title,
        xaxis={"title": _("probability, %"), "range": [0, max(values) * 1.15]},
        yaxis={"title": "", "autorange": "reversed", "ticksuffix": "  "},
        height=90 + 30 * len(values),
    )
