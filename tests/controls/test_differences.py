"""What differs between calls: by value, by default, by what a route lacks; and what does not."""

import pytest

from courselib.controls.controls import Controls
from courselib.controls.differences import differences
from courselib.controls.routes import ROUTES


def names(*calls):
    return set(differences([ROUTES[route].plan(controls) for route, controls in calls]))


@pytest.mark.parametrize("route", list(ROUTES))
def test_the_same_call_twice_differs_in_nothing(route):
    assert not names((route, Controls()), (route, Controls()))


def test_another_value_differs():
    first, second = Controls(temperature=0.5, seed=1), Controls(temperature=0.6, seed=1)
    assert names(("vLLM chat", first), ("vLLM chat", second)) == {"temperature"}


def test_a_value_and_the_default_it_equals_do_not_differ():
    assert not names(("llama.cpp chat", Controls(top_k=40)), ("llama.cpp chat", Controls()))


def test_defaults_differ_between_engines():
    both = Controls(max_tokens=50)
    found = names(("llama.cpp chat", both), ("vLLM chat", both))
    assert found == {"temperature", "top_k", "top_p", "min_p", "seed"}


def test_with_the_differing_defaults_set_nothing_differs():
    both = Controls(max_tokens=50, temperature=0.7, top_k=20, top_p=0.9, min_p=0.0, seed=3)
    assert not names(("llama.cpp chat", both), ("vLLM chat", both))


def test_none_is_the_off_value():
    """TGI names no default for top_p where vLLM names one."""
    both = Controls(max_tokens=50, seed=3)
    assert names(("TGI chat", both), ("vLLM chat", both)) == set()


def test_what_one_route_lacks_differs_from_a_default_that_does_something():
    both = Controls(max_tokens=50, seed=3, temperature=0.8, top_p=0.95)
    assert names(("TGI chat", both), ("llama.cpp chat", both)) == {"top_k", "min_p"}


def test_a_control_that_is_ignored_by_all_still_matters_to_whoever_set_it():
    both = Controls(no_repeat_ngram_size=3)
    assert names(("vLLM chat", both), ("vLLM completions", both)) >= {"no_repeat_ngram_size"}


def test_a_clamped_value_is_what_the_engine_takes():
    (line,) = [ROUTES["vLLM chat"].plan(Controls(temperature=0.001)).line("temperature")]
    assert line.applies == 0.01


def test_a_refused_value_leaves_the_default():
    plan = ROUTES["vLLM chat"].plan(Controls(n=2, temperature=0))
    assert plan.line("n").applies == 1
    assert plan.line("temperature").applies == 0


def test_an_off_value_left_out_is_off():
    plan = ROUTES["TGI /generate"].plan(Controls(top_p=1.0, min_p=0.5))
    assert plan.line("top_p").applies == 1.0
    assert plan.line("min_p").applies == 0.0, "the route has none, so that it does nothing"
