"""Curves as SVG: what is drawn where, and that it is well-formed, small and readable without colours."""

from xml.etree import ElementTree

import pytest

from courselib.panels.lines import COLOURS, DASHES, Curve, lines_svg, ticks

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*curves, **more):
    return ElementTree.fromstring(lines_svg(curves, **{"title": "T", "x": "x", "y": "y", **more}))


def places(svg, number=0):
    group = svg.findall(f"{SVG}g")[number]
    return [(float(dot.get("cx")), float(dot.get("cy"))) for dot in group.iter(f"{SVG}circle")]


def test_points_lie_in_proportion_and_up_is_more():
    (x0, y0), (x1, y1), (x2, y2) = places(drawn(Curve("a", [(0, 0.0), (1, 0.5), (4, 1.0)]), span=(0, 1)))
    assert (x1 - x0) * 4 == pytest.approx(x2 - x0, abs=0.5)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2) and y2 < y0


def test_on_a_logarithmic_scale_each_power_of_ten_is_as_far_as_the_next():
    svg = drawn(Curve("a", [(0, 1e-4), (1, 1e-3), (2, 1e-2), (3, 0.0)]), log=True)
    (_, y0), (_, y1), (_, y2) = places(svg)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert "0.01" in "".join(svg.itertext())


def test_a_gap_parts_the_curve():
    svg = drawn(Curve("a", [(0, 1.0), (1, 2.0), (2, None), (3, 1.0), (4, 2.0)]))
    assert len(list(svg.iter(f"{SVG}polyline"))) == 2 and len(places(svg)) == 4


def test_names_are_text_not_markup_and_all_are_told_apart():
    svg = drawn(*(Curve(name, [(0, 1.0), (1, 2.0)]) for name in ("<s>", "b & c", "停")), title="<T>")
    words = list(svg.itertext())
    assert {"<s>", "b & c", "停", "x", "y"} <= set(words) and svg.get("aria-label") == "<T>"
    strokes = {(each.get("stroke"), each.get("stroke-dasharray")) for each in svg.iter(f"{SVG}polyline")}
    assert len(strokes) == 3 and len(set(COLOURS)) == len(set(DASHES)) == 6


@pytest.mark.parametrize("points", [[], [(0, None)], [(3, 0.5)], [(0, 1.0), (1, 1.0)]])
def test_little_or_nothing_can_be_drawn_too(points):
    for log in (False, True):
        assert drawn(Curve("a", points), log=log).tag == f"{SVG}svg"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 7, [0, 2, 4, 6]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (95, 130, [100, 110, 120, 130]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert ticks(low, high) == expected


def test_a_picture_of_a_hundred_points_is_small():
    assert len(lines_svg([Curve("a", [(x, x / 100) for x in range(100)])], title="T", x="x", y="y")) < 25_000
