"""The panel of capacity: every assumption is an input, and the code shown prints what the panel shows."""

import contextlib
import io

import pytest

import courselib
from courselib.errors import SettingsError
from courselib.panels.capacity import Capacity


@pytest.fixture
def panel():
    return Capacity()


def test_the_lessons_case(panel):
    assert courselib.Capacity is Capacity
    assert panel.state == "servers: 2"
    assert panel.found.plan.utilisation == pytest.approx(0.475)
    assert (panel.found.own.machines, round(panel.found.own.month)) == (3, 2628)
    assert round(panel.found.even.per_day) == 13_127


def test_an_input_changes_the_plan(panel):
    panel.inputs["answer"].value = 680
    assert panel.state == "servers: 3"
    panel.users = 100
    assert panel.found.plan.demand.users == 100 and panel.found.plan.demand.answer == 680


def test_a_promise_that_no_servers_keep_shows_a_sentence_and_no_numbers(panel):
    panel.each_token_s = 0.03
    assert "no number of servers changes that" in panel._error.value
    assert (panel.state, panel.found, panel.rows(), panel.stills) == ("no plan", None, [], {})
    panel.each_token_s = 0.04
    assert panel._error.value == "" and panel.found.plan.servers == 2


def test_the_code_computes_what_the_panel_shows(panel):
    panel.users, panel.price_in, panel.spare, panel.days = 431, 3.5, 2, 20
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(panel.code.programs["Python"], {})
    found = panel.found
    assert printed.getvalue() == f"{found.plan}\n{found.own}\n{found.even}\n"


def test_text_twin_and_fixed_repr(panel):
    table = panel.as_table()
    assert repr(panel) == "Capacity()" == repr(Capacity(users=3))
    for text in (
        "computed from your inputs",
        "users               200",
        "prompt / prefill",
        "2,628",
        "now 10,800, cheaper: the API",
        "13,127 requests a day",
    ):
        assert text in table + panel.origin
    assert "<" not in table
    assert "2,628" in panel._repr_mimebundle_()["text/html"]


def test_inputs_have_a_sentence_each(panel):
    assert all(each.tooltip and each.tooltip != each.description for each in panel.inputs.values())


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"users": 0}, "users is 0"),
        ({"user": 5}, "There is no input 'user'; choose one of users"),
        ({"state": 5}, "no"),
    ],
)
def test_a_wrong_input_is_refused(inputs, words):
    with pytest.raises(SettingsError, match=words):
        Capacity(**inputs)


@pytest.mark.parametrize("at", ["low", "high"])
def test_the_ends_of_every_input_give_a_plan_or_a_sentence(panel, at):
    for name in panel.inputs:
        each = Capacity(**{name: getattr(type(panel).class_traits()[name], at)})
        assert each.found or "cl-error" in each._error.value
