"""What all panels have in common."""

import ipywidgets
import pytest

from courselib.errors import EngineDied
from courselib.panels.base import Panel, facts_table


@pytest.fixture
def panel():
    made = Panel("Title <b>", "llama.cpp", "measured")
    made.lay_out(ipywidgets.Button())
    return made


def test_header_says_engine_state_and_where_numbers_come_from(panel):
    panel.set_state_text("starting")
    for word in ("Title &lt;b&gt;", "llama.cpp", "starting", "measured"):
        assert word in f"{panel._header.value} {panel._status.text} {panel._head.children[-1].value}"


def test_what_is_spoken_stays_while_the_words_change(panel):
    before = panel.children
    panel.set_state_text("done")
    assert panel.children is before and panel._status in panel._head.children
    assert panel._status.text == "done"


def test_an_error_is_one_sentence_with_folded_details(panel):
    panel.show_error(EngineDied("It <ended>; start it again.", details="last & words"))
    shown = panel._error.value
    assert "role='alert'" in shown
    assert "It &lt;ended&gt;; start it again." in shown
    assert shown.index("<details>") < shown.index("last &amp; words")
    panel.show_error(None)
    assert panel._error.value == ""


def test_an_error_without_details_has_no_fold(panel):
    panel.show_error(EngineDied("It ended."))
    assert "<details>" not in panel._error.value


def test_an_unexpected_error_shows_its_kind_and_keeps_the_traceback(panel):
    try:
        {}["absent"]
    except KeyError as error:
        panel.show_error(error)
    assert "KeyError: &#x27;absent&#x27;" in panel._error.value
    assert "test_base.py" in panel._error.value


def test_facts_are_escaped():
    assert facts_table([("<a>", "1 & 2", "measured")]).count("<") == facts_table([("a", "b", "c")]).count("<")


def test_repr_is_fixed_and_the_twin_is_text(panel):
    assert repr(panel) == "Panel(engine='llama.cpp')"
    panel.set_state_text("done")
    assert panel.as_table() == "Title <b> | llama.cpp | done"
    data = panel._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert data["text/plain"] == "Panel(engine='llama.cpp')"
