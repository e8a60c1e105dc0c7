"""Figures share plotly's bundle, send nothing away, and have a fixed repr and a text twin."""

import subprocess
import sys

import plotly.graph_objects as go
import pytest

from courselib.panels import figure
from courselib.panels.figure import CONFIG, Picture


def scatter():
    return go.Scatter(x=[1, 2], y=[3, 4])


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


def test_no_figure_carries_the_bundle_itself():
    states = [Picture([scatter()]).figure.get_state() for _ in range(3)]
    assert all(len(str(state)) < 20_000 for state in states)
    assert len({state["_bundle"] for state in states}) == 1
    assert len(figure._bundle().source) > 1_000_000


def test_the_upload_button_is_gone():
    config = Picture([scatter()]).figure._config
    assert config.items() >= CONFIG.items()
    assert "sendChartToCloud" in config["modeBarButtonsToRemove"]


@pytest.mark.parametrize("ground", ["#ffffff", "#111111"])
def test_colours_are_seen_on_light_and_dark(ground):
    assert contrast(figure.INK, ground) > 4.1
    assert [colour for colour in figure.COLOURS[:3] if contrast(colour, ground) < 3] == []
    layout = Picture([scatter()]).figure.layout.template.layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"


def test_a_figure_is_plotlys_own_and_can_be_changed():
    picture = Picture([scatter()], title="Speed", xaxis={"title": "threads"})
    with picture.figure.batch_update():
        picture.figure.data[0].y = [5, 6]
    assert isinstance(picture.figure, go.FigureWidget)
    assert picture.figure.data[0].y == (5, 6)
    assert picture.figure.layout.xaxis.title.text == "threads"


def test_repr_is_fixed_and_the_twin_has_the_numbers():
    picture = Picture([scatter()], table="1 < 2", title="Next")
    assert repr(picture) == "Picture('Next')"
    assert "1 &lt; 2" in picture.children[1].value
    assert picture.as_table() == "1 < 2"


def test_the_import_does_without_the_grammar_and_leaves_no_trace():
    program = (
        "import sys\nfrom courselib.panels.figure import Picture\nPicture([])\n"
        "assert 'rfc3987_syntax' not in sys.modules\nimport rfc3987_syntax"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
