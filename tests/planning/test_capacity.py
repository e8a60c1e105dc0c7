"""A plan is the smallest number of servers that does it, and its figures are those of a queue that is simulated."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from courselib import planning
from courselib.errors import SettingsError
from courselib.observe.percentiles import percentile
from courselib.planning import Demand, Plan, Promise, Speeds
from courselib.planning.queueing import simulate

DEMAND = Demand(users=200, per_hour=9, prompt=800, answer=340)
SPEEDS = Speeds(prefill=4000, decode=200, at_once=8)
PROMISE = Promise(first_token_s=5, each_token_s=0.05)


def test_a_plan_by_hand():
    """Half a request a second, 1.9 s of a server each: 0.95 of one server, so two at 70 %."""
    assert DEMAND.per_s == 0.5
    assert SPEEDS.busy_s(DEMAND) == pytest.approx(800 / 4000 + 340 / 200)
    found = planning.plan(DEMAND, SPEEDS, PROMISE)
    assert (found.servers, found.slots, found.is_kept) == (2, 16, True)
    assert found.at_once == pytest.approx(0.5 * 8 * 1.9)
    assert found.utilisation == pytest.approx(0.475)
    assert found.first_token_s == pytest.approx(8 * 800 / 4000)
    assert found.most_per_day(0.6) == pytest.approx(2 * 0.6 / 1.9 * 3600 * 6)
    assert str(found).splitlines() == [
        "7.6 requests at once; servers: 2, slots: 16, busy: 47.5 %",
        "first token: 95 % within 1.6 s; each token after 0.040 s",
        "the promise is kept",
    ]


def test_a_server_planned_to_95_percent_breaks_the_promise():
    full = Plan(DEMAND, SPEEDS, PROMISE, servers=1)
    assert full.utilisation == pytest.approx(0.95)
    assert not full.is_kept
    assert "the promise is BROKEN" in str(full)
    assert planning.plan(DEMAND, SPEEDS, PROMISE, utilisation=0.96).servers == 2  # the promise asks for the second one


def test_the_most_that_servers_carry_is_where_the_promise_or_the_limit_ends():
    found = planning.plan(DEMAND, SPEEDS, PROMISE)
    most = found.most_per_day(0.9)
    assert most < found.demand.per_day * 0.9 / found.utilisation
    edge = replace(DEMAND, per_hour=most / DEMAND.users / DEMAND.busy_hours)
    assert replace(found, demand=edge).first_token_s == pytest.approx(PROMISE.first_token_s)
    assert replace(found, promise=replace(PROMISE, each_token_s=0.01)).most_per_day(0.7) == 0


def test_the_numbers_of_a_plan_are_those_of_a_simulated_queue():
    """The wait of a plan is a percentile of what a simulation draws."""
    found = Plan(replace(DEMAND, users=170), SPEEDS, PROMISE, servers=1)
    per_s, service_s = found.demand.per_s, SPEEDS.service_s(DEMAND)
    waits = simulate(found.slots, per_s, service_s, requests=200_000, seed=6)
    assert percentile(waits, 95) == pytest.approx(found.wait_s, rel=0.1)


@given(
    st.builds(
        Demand,
        users=st.integers(1, 500),
        per_hour=st.floats(0.5, 30),
        prompt=st.floats(1, 3000),
        answer=st.floats(1, 800),
    ),
    st.builds(Speeds, prefill=st.floats(500, 10_000), decode=st.floats(50, 2000), at_once=st.integers(1, 32)),
    st.floats(0.3, 0.95),
)
def test_a_plan_is_the_smallest_that_keeps_promise_and_utilisation(demand, speeds, utilisation):
    assume(speeds.each_token_s <= 0.3 and speeds.reading_s(demand) <= 9)
    promise = Promise(first_token_s=10, each_token_s=0.3)
    found = planning.plan(demand, speeds, promise, utilisation=utilisation)

    def does(plan):
        return plan.is_kept and plan.utilisation <= utilisation + 1e-8

    assert does(found)
    assert found.servers == 1 or not does(replace(found, servers=found.servers - 1))


@pytest.mark.parametrize(
    ("demand", "speeds", "promise", "utilisation", "words"),
    [
        ({}, {}, {"each_token_s": 0.03}, 0.7, "a token takes 0.04 s, and 0.03 s are promised: no number of servers"),
        ({"prompt": 8000}, {}, {}, 0.7, "Reading a prompt takes 16 s .* within 5 s: no number of servers"),
        ({}, {}, {}, 0.999, "utilisation is 0.999; give a number above 0 and at most 0.99"),
        ({"users": 2_000_000_000}, {}, {}, 0.7, "more than 100000 slots"),
        ({"users": 0}, {}, {}, 0.7, "users is 0"),
        ({"per_hour": -1}, {}, {}, 0.7, "per_hour is -1; give a number above 0"),
        ({"busy_hours": True}, {}, {}, 0.7, "busy_hours is True"),
        ({}, {"decode": 0}, {}, 0.7, "decode is 0"),
        ({}, {"at_once": 1.5}, {}, 0.7, "at_once is 1.5; give a whole number"),
        ({}, {}, {"percent": 100}, 0.7, "percent is 100"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(demand, speeds, promise, utilisation, words):
    with pytest.raises(SettingsError, match=words):
        planning.plan(
            replace(DEMAND, **demand), replace(SPEEDS, **speeds), replace(PROMISE, **promise), utilisation=utilisation
        )
