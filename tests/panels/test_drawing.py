"""Pictures of a lesson's numbers: well-formed SVG that reads without a page's own styles, and the same as text."""

from xml.etree import ElementTree

import pytest

from courselib.panels.drawing import INK, bar_columns, bars, curves
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


@pytest.mark.parametrize(
    "label",
    ["cache_type_k=q8_0, cache_type_v=q8_0", "context=65536, " * 9 + "parallel=4", "x" * 100, "貓" * 60],
    ids=["wide", "words", "one word", "Chinese"],
)
def test_no_label_is_cut(label):
    rows = [(label, 3), ("b", 4)]
    several = [(name, (value, value)) for name, value in rows]
    columns = bar_columns(several, title="x", columns=[("first", "{}"), ("second", "{}")])
    for drawing in (bars(rows, title="x"), columns):
        picture, _text = shown(drawing)
        labels = [part for part in picture.iter(f"{SVG}text") if part.get("class") == "label"]
        letter = 13 if "貓" in label else 7.9
        assert "".join(part.text for part in labels).replace(" ", "") == label.replace(" ", "") + "b"
        assert all(float(part.get("x")) >= letter * len(part.text) for part in labels)
        _width, height = map(float, picture.get("viewBox").split()[2:])
        levels = [float(part.get("y")) for part in labels]
        assert levels == sorted(set(levels)) and levels[-1] < height
        for bar in picture.iter(f"{SVG}rect"):
            assert float(bar.get("x")) > max(float(part.get("x")) for part in labels)
        beside = [part for part in picture.iter(f"{SVG}text") if part.get("class") != "label"]
        assert all(float(part.get("x")) + 8 * len(part.text) < 660 for part in beside)


def test_short_labels_leave_the_picture_as_it_was():
    picture, _text = shown(bars([("twenty letters long .", 1)], title="x"))
    assert {bar.get("x") for bar in picture.iter(f"{SVG}rect")} == {"176"}
    assert {bar.get("x") for bar in shown(bars([("short", 1)], title="x"))[0].iter(f"{SVG}rect")} == {"170"}


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
