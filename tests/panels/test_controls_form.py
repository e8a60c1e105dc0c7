"""The form: from controls to rows and back, and at each row what becomes of its control."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from courselib.controls.catalogue import CONTROLS
from courselib.controls.controls import Controls
from courselib.controls.routes import ROUTES
from courselib.errors import SettingsError
from courselib.panels.controls_form import ControlsForm

# Stop texts are what a person may want to write: new lines, tabs and backslashes among them, and no half characters.
TEXTS = st.text(st.one_of(st.sampled_from("\n\r\t\\ n:"), st.characters(codec="utf-8")), min_size=1, max_size=6)


def values(control):
    """Any value that a control can have."""
    if control.kind is bool:
        return st.booleans()
    if control.kind is tuple:
        return st.lists(TEXTS, max_size=4).map(tuple)
    if control.kind is dict:
        return st.dictionaries(st.integers(0, 2**20), st.floats(-100, 100), max_size=4)
    if control.kind is int:
        return st.integers(int(control.low), int(control.high))
    high = control.high if math.isfinite(control.high) else None
    return st.floats(control.low, high, exclude_min=control.open_low, allow_nan=False, allow_infinity=False)


def from_page(entries):
    """A form whose rows were filled in on the page: what comes from there is JSON."""
    form = ControlsForm(Controls())
    form.set_state({"entries": json.loads(json.dumps(entries))})
    return form


@pytest.mark.parametrize("name", list(CONTROLS))
@settings(deadline=None)
@given(data=st.data())
def test_each_control_goes_to_its_row_and_back(name, data):
    controls = Controls(**{name: data.draw(values(CONTROLS[name]))})
    form = ControlsForm(controls)
    assert form.controls == controls
    assert from_page(form.entries).controls == controls


@settings(deadline=None)
@given(chosen=st.fixed_dictionaries({}, optional={name: values(control) for name, control in CONTROLS.items()}))
def test_all_together_go_and_come_back(chosen):
    if (chosen.get("min_tokens") or 0) > chosen.get("max_tokens", math.inf):
        del chosen["min_tokens"]
    controls = Controls(**chosen)
    form = ControlsForm(Controls(seed=1))
    form.controls = controls
    assert set(form.entries) == set(chosen), "what is not set is in no row"
    assert from_page(form.entries).controls == controls


def test_every_control_has_a_row_with_its_sentence_and_interval():
    rows = {row["name"]: row for group in ControlsForm(Controls()).groups for row in group["rows"]}
    assert list(rows) == list(CONTROLS)
    assert rows["top_k"]["help"] == "Keeps only this many of the most likely tokens."
    assert rows["top_p"]["takes"] == "probability: a number above 0, at most 1"
    assert rows["temperature"]["slider"] and not rows["seed"]["slider"], "no slider has four billion stops"
    for name, row in rows.items():
        if row["kind"] == "number":
            assert CONTROLS[name].low <= row["low"] <= row["off"] <= row["high"] <= CONTROLS[name].high


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("###", ("###",)),
        ("\\n\\n\n###\n\n", ("\n\n", "###")),
        ("tab\\tend", ("tab\tend",)),
        ("C:\\\\dir", ("C:\\dir",)),
        ("\\d+", ("\\d+",)),
        (" ", (" ",)),
        ("", ()),
        ("你好\n世界", ("你好", "世界")),
    ],
)
def test_stop_texts_as_a_person_writes_them(text, value):
    assert from_page({"stop": text}).controls.stop == value


@pytest.mark.parametrize(("text", "value"), [("28: -5", {28: -5}), (" 28 :-5.5\n\n 7:1 ", {28: -5.5, 7: 1}), ("", {})])
def test_biases_as_a_person_writes_them(text, value):
    assert from_page({"logit_bias": text}).controls.logit_bias == value


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"temperature": 2.5}, "temperature is 2.5; give a number from 0 to 2."),
        ({"top_k": 2.5}, "top_k is 2.5; give a whole number"),
        ({"logit_bias": "28"}, "token ids, each with a number from -100 to 100"),
        ({"logit_bias": "cat: 1"}, "token ids, each with a number from -100 to 100"),
        ({"logit_bias": "28: 101"}, "token ids, each with a number from -100 to 100"),
        ({"min_tokens": 9, "max_tokens": 8}, "min_tokens is 9, more than max_tokens"),
    ],
)
def test_what_is_no_value_is_one_sentence(entries, words):
    with pytest.raises(SettingsError) as raised:
        _ = from_page(entries).controls
    assert words in raised.value.message


class TestReport:
    def shown(self, route, **controls):
        form = ControlsForm(Controls(**controls))
        form.show(ROUTES[route].plan(form.controls))
        return form.report

    def test_what_is_not_set_shows_the_engines_own_default(self):
        report = self.shown("llama.cpp chat")
        assert report["temperature"]["word"] == "default"
        assert report["temperature"]["text"] == "not sent: llama.cpp's default applies, 0.8"
        assert report["temperature"]["applies"] == 0.8
        assert report["max_tokens"]["applies"] is None, "until the end is no number"

    def test_what_is_not_honoured_is_marked_set_or_not(self):
        for controls in ({}, {"min_p": 0.1}):
            row = self.shown("TGI chat", **controls)["min_p"]
            assert (row["kind"], row["word"]) == ("lost", "not available")
            assert "nearest is top_p" in row["text"]

    def test_what_means_something_else_is_marked(self):
        row = self.shown("TGI chat", presence_penalty=0.5)["presence_penalty"]
        assert (row["kind"], row["word"]) == ("care", "means something else")
        assert "plus 2 as repetition_penalty" in row["text"]

    def test_what_is_sent_shows_the_engines_spelling(self):
        row = self.shown("llama.cpp chat", repetition_penalty=1.2)["repetition_penalty"]
        assert "sent as repeat_penalty=1.2" in row["text"]


def test_repr_is_fixed():
    assert repr(ControlsForm(Controls(seed=3))) == "ControlsForm()"


def test_only_the_groups_that_are_wanted_have_rows():
    form = ControlsForm(Controls(top_k=5, max_tokens=1), groups=("choosing the token",))
    assert [group["title"] for group in form.groups] == ["choosing the token"]
    assert "top_k" in [row["name"] for row in form.groups[0]["rows"]]
    assert form.controls == Controls(top_k=5, max_tokens=1)
