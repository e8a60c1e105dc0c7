"""Strips of slots and of requests: each scene has its place in time, and stands in the text."""

from xml.etree import ElementTree

import pytest

from courselib.memory.batching import Job, schedule
from courselib.panels.film import Scene, film, requests_film, slots_film
from courselib.panels.lines import COLOURS

SVG = "{http://www.w3.org/2000/svg}"


def shown(drawing):
    bundle = drawing._repr_mimebundle_()
    return ElementTree.fromstring(bundle["image/svg+xml"]), bundle["text/plain"].splitlines()


def scenes(picture, tag="rect"):
    """What each scene says when pointed at, and its box."""
    found = [(box.find(f"{SVG}title"), box) for box in picture.iter(f"{SVG}{tag}")]
    return {title.text: box for title, box in found if title is not None}


def test_a_schedule_is_drawn_slot_by_slot_with_what_is_held():
    picture, text = shown(slots_film(schedule([Job(6), Job(2), Job(3)], 2, "static"), title="Static"))
    assert text == [
        "Static (steps)",
        "slot 1: A 0-6, C 6-9",
        "slot 2: B 0-2, (slot held, nothing generated 2-6)",
    ]
    boxes = scenes(picture)
    assert set(boxes) == {
        "A 0-6: generates tokens",
        "B 0-2: generates tokens",
        "B 2-6: slot held, nothing generated",
        "C 6-9: generates tokens",
    }
    assert boxes["B 2-6: slot held, nothing generated"].get("fill") == "none"


def test_boxes_are_as_long_as_what_they_stand_for_on_one_axis():
    jobs = [Job(8), Job(2), Job(2), Job(2)]
    for scheduler in ("static", "continuous"):
        boxes = scenes(shown(slots_film(schedule(jobs, 2, scheduler), title="t", until=20))[0])
        widths = {said[0]: float(box.get("width")) for said, box in boxes.items() if "generates" in said}
        assert widths["A"] + 1 == pytest.approx(4 * (widths["B"] + 1), abs=0.3)
        assert widths["A"] + 1 == pytest.approx(8 / 20 * 530, abs=0.3)


def test_a_real_run_begins_with_the_first_request_and_shows_who_waits():
    times = [(100.0, 100.5, 102.0), (100.25, 102.0, 103.0)]
    picture, text = shown(requests_film(times, title="Run"))
    assert text == [
        "Run (s)",
        "request A: (waits 0-0.5), A 0.5-2",
        "request B: (waits 0.25-2), B 2-3",
    ]
    assert set(scenes(picture, "line")) == {"A 0-0.5: waits", "B 0.25-2: waits"}


def test_a_request_keeps_its_colour_and_words_are_escaped():
    drawing = film(["<1>"], [Scene(0, 0, 2, "A"), Scene(0, 2, 3, "<b>"), Scene(0, 3, 9, "A")], title="a & b", x="s")
    picture, text = shown(drawing)
    boxes = scenes(picture)
    assert {boxes[f"A {span}: generates tokens"].get("fill") for span in ("0-2", "3-9")} == {COLOURS[0]}
    assert boxes["<b> 2-3: generates tokens"].get("fill") == COLOURS[1]
    assert text == ["a & b (s)", "<1>: A 0-2, <b> 2-3, A 3-9"]


def test_the_legend_has_what_is_in_the_film():
    for scheduler, held in (("static", True), ("continuous", False)):
        picture, _text = shown(slots_film(schedule([Job(6), Job(2), Job(3)], 2, scheduler), title="t"))
        words = {part.text for part in picture.iter(f"{SVG}text")}
        assert "generates tokens" in words
        assert ("slot held, nothing generated" in words) == held


def test_nothing_to_show_is_an_empty_film():
    assert shown(requests_film([], title="x"))[1] == ["x (s)"]
    assert shown(slots_film(schedule([], 1), title="x"))[1] == ["x (steps)", "slot 1: "]
