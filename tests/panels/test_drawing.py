"""Pictures of a lesson's numbers: well-formed SVG that reads without a page's own styles, and the same as text."""

from xml.etree import ElementTree

import pytest

from courselib.panels.drawing import INK, bars, curves
from courselib.panels.lines import Curve

SVG = "{http://www.w3.org/2000/svg}"


def shown(drawing):
    bundle = drawing._repr_mimebundle_()
    return ElementTree.fromstring(bundle["image/svg+xml"]), bundle["text/plain"]


def test_bars_are_as_long_as_their_values_and_name_them():
    picture, text = shown(bars([("' Paris'", 0.8), ("'<b>'", 0.2), ("'貓'", 0.0)], title="After “France is”"))
    widths = [float(bar.get("width")) for bar in picture.iter(f"{SVG}rect")]
    assert widths[0] == pytest.approx(4 * widths[1], abs=0.2)
    assert widths[2] == 0
    written = [part.text for part in picture.iter(f"{SVG}text")]
    assert {"After “France is”", "' Paris'", "'<b>'", "'貓'", "80.0%", "20.0%", "0.0%"} == set(written)
    assert text.splitlines() == ["After “France is”", "' Paris'  80.0%", "'<b>'     20.0%", "'貓'       0.0%"]


def test_bars_that_are_all_zero_or_not_there():
    assert [bar.get("width") for bar in shown(bars([("a", 0)], title="x"))[0].iter(f"{SVG}rect")] == ["0.0"]
    assert shown(bars([], title="x"))[1] == "x"


def test_curves_have_their_points_in_the_text_and_gaps_are_left_out():
    picture, text = shown(curves([Curve("here", [(1, 2.0), (2, None), (4, 0.5)])], title="T", x="tokens", y="s"))
    assert text.splitlines() == ["T", "here: 1 tokens, 2 s", "here: 4 tokens, 0.5 s"]
    assert len(list(picture.iter(f"{SVG}circle"))) == 2


def test_words_have_a_colour_of_their_own():
    for drawing in (bars([("a", 1)], title="x"), curves([Curve("a", [(0, 1), (1, 2)])], title="t", x="x", y="y")):
        style = next(shown(drawing)[0].iter(f"{SVG}style")).text
        assert f"fill: {INK}" in style


def test_a_picture_is_never_wider_than_its_place_and_cuts_no_label_off():
    picture, _text = shown(curves([Curve("a", [(1, 1), (131072, 2)])], title="t", x="tokens", y="s"))
    assert "max-width: 100%" in picture.get("style")
    (label,) = [part for part in picture.iter(f"{SVG}text") if part.text == "131072"]
    assert float(label.get("x")) + 4.5 * len("131072") <= float(picture.get("width"))
