"""Machines and money by hand, and the memory of the engines' own formulas."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from courselib import memory, planning
from courselib.errors import SettingsError
from courselib.planning import Machine, Need, Rented

from .test_capacity import DEMAND, PROMISE, SPEEDS

PLAN = planning.plan(DEMAND, SPEEDS, PROMISE)
MACHINE = Machine(price_hour=1, memory_gib=24)
MODEL = memory.known_model("meta-llama/Llama-3.1-8B-Instruct")


def test_a_bill_by_hand():
    found = planning.bill(PLAN, MACHINE, spare=1, days=20)
    assert (found.machines, found.month) == (3, 2190)
    tokens = 200 * 9 * 6 * 20 * (800 + 340)
    assert found.million_tokens == pytest.approx(2190 / (tokens / 1e6))


@pytest.mark.parametrize(("servers", "each", "spare", "machines"), [(1, 2, 0, 1), (4, 2, 1, 3), (5, 4, 0, 2)])
def test_servers_share_machines(servers, each, spare, machines):
    plan = replace(PLAN, servers=servers)
    assert planning.bill(plan, replace(MACHINE, servers=each), spare=spare).machines == machines


def test_machines_that_are_switched_off_cost_less():
    day, always = (planning.bill(PLAN, MACHINE, hours=hours).month for hours in (22 * 10, 730))
    assert day / always == pytest.approx(220 / 730)


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0.1, 31))
def test_at_the_break_even_both_cost_the_same(price_in, price_out, days):
    rented = Rented(price_in=price_in, price_out=price_out)
    own = planning.bill(PLAN, MACHINE, days=days)
    found = planning.break_even(PLAN, own, rented, days=days)
    there = replace(DEMAND, busy_hours=DEMAND.busy_hours * found.per_day / DEMAND.per_day)
    assert rented.month(there, days=days) == pytest.approx(own.month)
    assert found.cheaper == ("own" if rented.month(DEMAND, days=days) > own.month else "rented")
    assert found.is_reachable == (found.per_day <= PLAN.most_per_day(0.7))


def test_a_rented_request_by_hand():
    rented = Rented(price_in=2, price_out=10)
    assert rented.request(DEMAND) == pytest.approx((800 * 2 + 340 * 10) / 1e6)
    assert rented.month(DEMAND, days=10) == pytest.approx(10 * 10_800 * 0.005)


def test_the_memory_is_that_of_the_engines_formulas():
    need = planning.memory_need(MODEL, at_once=8, longest=4096)
    assert need == Need(memory.vllm.memory_for(MODEL, 8, 4096), MODEL.weights.total)
    estimate = memory.llamacpp.estimate(MODEL, context=8 * 4096, parallel=8)
    need = planning.memory_need(MODEL, at_once=8, longest=4096, engine="llama.cpp")
    assert (need.kv_cache, need.total) == (estimate.kv_cache, estimate.total)


def test_a_server_that_does_not_fit_is_refused():
    MACHINE.check_fits(Need(1 << 30, 20 << 30))
    with pytest.raises(SettingsError, match=r"A server needs 22\.0 GiB, and 21\.6 GiB of this machine are usable"):
        MACHINE.check_fits(Need(1 << 30, 21 << 30))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: planning.bill(PLAN, MACHINE, spare=-1), "spare is -1"),
        (lambda: planning.bill(PLAN, MACHINE, days=0), "days is 0"),
        (lambda: replace(MACHINE, price_hour=0), "price_hour is 0; give a number above 0"),
        (lambda: replace(MACHINE, usable=1.2), "usable is 1.2"),
        (lambda: Rented(price_in=-1, price_out=1), "price_in is -1"),
        (lambda: planning.memory_need(MODEL, at_once=8, longest=0), "longest is 0"),
        (lambda: planning.memory_need(MODEL, at_once=8, longest=1, engine="tgi"), "choose one of llama.cpp, vllm"),
        (
            lambda: planning.memory_need(memory.known_model("openai/gpt-oss-20b"), at_once=1, longest=9),
            "gpt-oss-20b are not known",
        ),
    ],
)
def test_bad_input_is_refused_with_a_sentence(call, words):
    with pytest.raises(SettingsError, match=words):
        call()
