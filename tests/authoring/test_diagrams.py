"""Diagrams: read from text, drawn as SVG, shown with a text twin."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree

import pytest

from courselib.authoring import diagrams
from courselib.authoring.blocks import split
from courselib.authoring.diagram_svg import draw, width
from courselib.authoring.diagram_text import Arrow, Box, Frame, Row, parse
from courselib.authoring.prose import problems, render

TWIN = "Your notebook sends a request to the server [sic], which asks the model & answers."
TEXT = f"```{{diagram}} client-and-server\n[Notebook] --> [*Server|a < b]\n\n{TWIN}\n```"
SVG = "{http://www.w3.org/2000/svg}"


def test_rows_arrows_and_frames_are_read():
    frame = parse(
        "A: [x|small] -- up | down --> [*y] <--> [-z] [w]\nv label\n{ Outer\n[a]\nv^\n{ Inner\n[b]\n}\n}\n[c]\n"
    )
    boxes = (Box(("x", "small")), Box(("y",), "strong"), Box(("z",), "free"), Box(("w",)))
    row = Row("A", boxes, (None, Arrow("up | down"), Arrow("", is_both=True), None))
    outer = Frame("Outer", [parse("[a]").body[0], Arrow("", is_both=True), Frame("Inner", parse("[b]").body)])
    assert frame.body == [row, Arrow("label"), outer, parse("[c]").body[0]]


@pytest.mark.parametrize("line", ["words", "[a", "[a] => [b]", "}", "{ never closed", "[a] --> words [b]"])
def test_what_cannot_be_read_is_said(line):
    with pytest.raises(ValueError, match=re.escape(line)):
        parse(f"[a]\n{line}")


def shown(text: str) -> tuple[str, ElementTree.Element]:
    """What a page shows: the Markdown without the picture's address, and the picture."""
    markdown, _comma, data = render(text, str).rpartition("base64,")
    return markdown, ElementTree.fromstring(base64.b64decode(data))


def test_a_page_shows_the_picture_and_its_twin_and_text_goes_on_between_them():
    markdown, svg = shown(f"Before.\n\n{TEXT}\n\nAfter.")
    alt = TWIN.replace("[sic]", "\\[sic\\]")
    assert markdown == (f"Before.\n\n![{alt}][client-and-server]\n\nAfter.\n\n[client-and-server]: data:image/svg+xml;")
    assert svg.find(f"{SVG}title").text == TWIN
    assert [text.text for text in svg.iter(f"{SVG}text")] == ["Notebook", "Server", "a < b"]


def test_two_diagrams_in_a_cell():
    markdown = render(TEXT + "\n\n" + TEXT.replace("client-and-server", "again"), str)
    assert re.findall(r"^\[([a-z-]+)\]: data:", markdown, re.MULTILINE) == ["client-and-server", "again"]


def test_nothing_lies_outside_and_boxes_do_not_overlap():
    text = "one: [a|b c d] --> [*貓咪貓咪] [-c]\ntwo: [long name of a box] <-- x --> [d]\nv^ down\n"
    text += "{ Frame\n[e] [f]\n{ In\n[g]\n}\n}"
    svg = ElementTree.fromstring(draw(parse(text), TWIN))
    wide, high = float(svg.get("width")), float(svg.get("height"))
    assert wide == round(width(parse(text)))
    rects = [
        (each.get("class"), *(float(each.get(key)) for key in ("x", "y", "width", "height")))
        for each in svg.iter(f"{SVG}rect")
    ]
    assert all(x >= 0 and y >= 0 and x + w <= wide and y + h <= high for _class, x, y, w, h in rects)
    boxes = [rect for rect in rects if rect[0] not in ("ground", "frame")]
    assert len(boxes) == 8
    for n, (_one, x, y, w, h) in enumerate(boxes):
        for _other, u, v, a, b in boxes[n + 1 :]:
            assert x + w <= u or u + a <= x or y + h <= v or v + b <= y
    for text in svg.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x")) <= wide
        assert 0 <= float(text.get("y")) <= high


def test_the_same_text_gives_the_same_bytes():
    assert render(TEXT, str) == render(TEXT, str)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("client-and-server", "Client", "a diagram has a name, of small letters"),
        ("client-and-server", "", "a diagram has a name, of small letters"),
        ("[Notebook] -->", "[Notebook] ->", "this line of the diagram cannot be read: [Notebook] ->"),
        ("[Notebook]", "[" + "wide " * 40 + "]", "is the most that a page shows"),
        (TWIN, "", "says the same in words"),
        (TWIN, "A picture.", "says the same in words"),
    ],
)
def test_the_build_refuses(old, new, problem):
    assert list(problems(TEXT)) == []
    (found,) = problems(f"Before.\n\n{TEXT.replace(old, new)}")
    assert found[0] == 2
    assert problem in found[1]


def test_a_diagram_is_a_block_of_prose_for_translators():
    assert [block.kind for block in split(TEXT)] == ["open", "text", "blank", "text", "close"]
    assert split(TEXT)[0].name == diagrams.NAME
