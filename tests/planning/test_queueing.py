"""Erlang's formula against the equations that it solves, against closed forms, and against a simulation."""

import math
from fractions import Fraction
from statistics import mean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from courselib.errors import SettingsError
from courselib.observe.percentiles import percentile
from courselib.planning.queueing import erlang_c, simulate, wait_s

SLOTS, LOAD = st.integers(1, 12), st.integers(1, 95)


def queue_lengths(slots, per_s, service_s, longest=3000):
    """Probabilities of 0, 1, 2, … requests in the system: the balance of a birth-death process, solved as a matrix."""
    leave = [min(n, slots) / service_s for n in range(longest + 1)]
    flow = np.zeros((longest + 1, longest + 1))
    for n in range(longest):
        flow[n, n] -= per_s
        flow[n + 1, n] += per_s
        flow[n + 1, n + 1] -= leave[n + 1]
        flow[n, n + 1] += leave[n + 1]
    flow[-1] = 1  # in place of the last balance: they add up to 1
    return np.linalg.solve(flow, np.eye(longest + 1)[-1])


@pytest.mark.parametrize(("slots", "load"), [(1, 0.5), (2, 0.9), (8, 0.95), (16, 0.475)])
def test_the_share_that_waits_is_that_of_the_balance_equations(slots, load):
    lengths = queue_lengths(slots, per_s=load * slots / 3, service_s=3, longest=600)
    assert erlang_c(slots, load * slots) == pytest.approx(lengths[slots:].sum(), rel=1e-6)


@given(SLOTS, LOAD)
def test_it_is_the_textbooks_sum_in_exact_fractions(slots, percent):
    offered = Fraction(percent * slots, 100)
    last = offered**slots / math.factorial(slots) / (1 - offered / slots)
    others = sum(offered**k / math.factorial(k) for k in range(slots))
    assert erlang_c(slots, float(offered)) == pytest.approx(float(last / (others + last)), rel=1e-12)


@given(LOAD)
def test_one_slot_and_two_have_closed_forms(percent):
    load = percent / 100
    assert erlang_c(1, load) == pytest.approx(load)
    assert erlang_c(2, 2 * load) == pytest.approx(2 * load**2 / (1 + load))


def test_many_slots_do_not_overflow_and_a_full_load_waits():
    assert 0 < erlang_c(5000, 4950) < 1
    assert erlang_c(4, 4) == erlang_c(4, 9) == 1
    assert erlang_c(1000, 1e-300) == 0


@given(st.integers(1, 99), LOAD)
def test_the_wait_with_one_slot_is_that_of_mm1(percent, load):
    """W = 0 with probability 1 - load, and P(W > t) = load exp(-(1 - load) t / service)."""
    found = wait_s(1, load / 100 / 7, 7, percent=percent)
    left = load / 100 * math.exp(-(1 - load / 100) * found / 7)
    assert left == pytest.approx(1 - percent / 100) if found else load <= 100 - percent + 1e-9


def test_a_queue_that_cannot_keep_up_has_no_percentile():
    assert wait_s(8, 1, 8) == wait_s(8, 1, 9) == math.inf
    assert wait_s(1000, 1e-300, 1) == 0


@pytest.mark.parametrize("load", [0.5, 0.8, 0.9])
def test_the_simulation_agrees_with_the_formula(load):
    waits = simulate(8, load * 8 / 10, 10, requests=200_000, seed=1)
    assert sum(map(bool, waits)) / len(waits) == pytest.approx(erlang_c(8, 8 * load), rel=0.05)
    expected = wait_s(8, load * 8 / 10, 10)
    assert percentile(waits, 95) == pytest.approx(expected, rel=0.1, abs=0.05)


def test_times_that_vary_less_wait_less():
    """M/D/1 has half the mean wait of M/M/1 (Pollaczek and Khinchine)."""
    alike, varied = (mean(simulate(1, 0.8, 1, requests=200_000, seed=2, spread=spread)) for spread in (0, None))
    assert alike == pytest.approx(0.8 / (2 * 0.2), rel=0.1)
    assert varied == pytest.approx(0.8 / 0.2, rel=0.1)


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_the_mean_time_in_a_slot_does_not_depend_on_the_spread(spread):
    """Pollaczek and Khinchine once more: the mean wait depends on the mean and the variance, which is known."""
    waits = simulate(1, 0.5, 1, requests=200_000, seed=3, spread=spread)
    assert mean(waits) == pytest.approx(0.5 * math.exp(spread**2) / (2 * 0.5), rel=0.15)


def test_the_same_seed_gives_the_same_waits():
    first, again, other = (simulate(2, 1, 1.5, requests=50, seed=seed) for seed in (4, 4, 5))
    assert first == again != other
    assert first[0] == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: erlang_c(0, 1), "slots is 0"),
        (lambda: erlang_c(2, -1), "offered is -1; give a number above 0"),
        (lambda: erlang_c(2, math.nan), "offered is nan"),
        (lambda: wait_s(2, math.inf, 1), "per_s is inf"),
        (lambda: wait_s(2, 1, "5"), "service_s is '5'"),
        (lambda: wait_s(2, 1, 1, percent=100), "percent is 100"),
        (lambda: simulate(2, 1, 1, requests=0), "requests is 0"),
        (lambda: simulate(2, 1, 1, requests=1, spread=-1), "spread is -1"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(call, words):
    with pytest.raises(SettingsError, match=words):
        call()
