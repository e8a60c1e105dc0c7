"""The controls themselves: ranges and their words, JSON, immutability."""

import copy
import dataclasses
import math
import pickle

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from courselib.controls.catalogue import CONTROLS
from courselib.controls.control import MANY, SEEDS, Biases
from courselib.controls.controls import Controls
from courselib.errors import SettingsError
from tests.controls.drawn import some_controls, values

NUMBERS = [control for control in CONTROLS.values() if control.kind in (int, float)]
OUTSIDE = {
    "temperature": (-0.01, 2.01),
    "top_k": (-1, 2.5),
    "top_p": (0, 1.01),
    "min_p": (-0.01, 1.01),
    "typical_p": (0, 1.01),
    "repetition_penalty": (0, -1),
    "presence_penalty": (-2.01, 2.01),
    "frequency_penalty": (-2.01, 2.01),
    "no_repeat_ngram_size": (-1, 2.5),
    "dry_multiplier": (-0.1,),
    "dry_base": (0.99,),
    "dry_allowed_length": (-1, 0.5),
    "max_tokens": (0, -1),
    "min_tokens": (-1, 1.5),
    "stop": ("", ("a", ""), (1,), 7),
    "ignore_eos": (1, "yes"),
    "skip_special_tokens": (0, "no"),
    "seed": (-1, SEEDS + 1, 1.5),
    "logit_bias": ({-1: 0}, {1: 101}, {1: math.nan}, {"the": 1}, [1]),
    "logprobs": (-1, True),
    "n": (0, 1.5),
}


def test_every_field_is_in_the_catalogue_in_its_order():
    assert [field.name for field in dataclasses.fields(Controls)] == list(CONTROLS) == list(OUTSIDE)
    for name, control in CONTROLS.items():
        assert control.name == name
        assert control.sentence.endswith((".", "!")), name
        assert control.group, name


# Where hypothesis has not yet made its table of characters, the first text takes a second.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(some_controls())
def test_json_gives_the_same_back(some):
    assert Controls.from_json(some.to_json()) == some
    assert hash(Controls.from_json(some.to_json())) == hash(some)
    assert eval(repr(some)) == some


@settings(max_examples=50)
@given(st.sampled_from(NUMBERS), st.data())
def test_what_is_allowed_keeps_its_value_and_gets_its_type(control, data):
    value = data.draw(values(control))
    kept = control.check(value)
    assert kept == value
    assert type(kept) is control.kind


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, refused in OUTSIDE.items() for value in refused])
def test_out_of_range_is_refused_with_the_interval(name, value):
    with pytest.raises(SettingsError) as caught:
        Controls(**{name: value})
    assert caught.value.message == f"{name} is {value!r}; give {CONTROLS[name].interval}."


@pytest.mark.parametrize("control", [control for control in NUMBERS if control.kind is float], ids=lambda one: one.name)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "1", True, [1]])
def test_what_is_no_number_is_refused(control, value):
    with pytest.raises(SettingsError, match=control.name):
        Controls(**{control.name: value})


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("temperature", "a number from 0 to 2"),
        ("top_p", "a number above 0, at most 1"),
        ("repetition_penalty", "a number above 0"),
        ("dry_multiplier", "a number of 0 or more"),
        ("top_k", "a whole number of 0 or more"),
        ("seed", "a whole number from 0 to 4294967294"),
        ("ignore_eos", "yes or no"),
        ("stop", "a list of texts, none of them empty"),
        ("logit_bias", "token ids, each with a number from -100 to 100"),
    ],
)
def test_intervals_in_words(name, words):
    assert CONTROLS[name].interval == words


def test_limits_themselves_are_allowed():
    for control in NUMBERS:
        low = control.low + (1e-9 if control.open_low else 0)
        high = MANY if math.isinf(control.high) else control.high
        assert control.check(low) == low
        assert control.check(high) == high


def test_a_least_length_above_the_greatest_is_refused():
    assert Controls(min_tokens=3, max_tokens=3).min_tokens == 3
    assert Controls(min_tokens=3).max_tokens is None
    with pytest.raises(SettingsError, match=r"min_tokens is 4, more than max_tokens \(3\); lower it"):
        Controls(min_tokens=4, max_tokens=3)


def test_one_text_is_a_list_of_one():
    assert Controls(stop="END").stop == ("END",)
    assert Controls(stop=["a", "b"]).stop == ("a", "b")


def test_immutable_throughout():
    some = Controls(temperature=0.5, logit_bias={1: 2.0})
    with pytest.raises(dataclasses.FrozenInstanceError):
        some.temperature = 1
    bias, before = some.logit_bias, hash(some)
    changes = {
        "__setitem__": (1, 3.0), "__delitem__": (1,), "__ior__": ({1: 3.0},), "update": ({1: 3.0},), "pop": (1,),
        "popitem": (), "clear": (), "setdefault": (2, 3.0),
    }  # fmt: skip
    for name, arguments in changes.items():
        with pytest.raises(TypeError, match="immutable"):
            getattr(bias, name)(*arguments)
    assert (hash(some), bias) == (before, {1: 2.0})
    assert copy.deepcopy(some) == some == pickle.loads(pickle.dumps(some))
    source = {1: 2.0}
    copied = Controls(logit_bias=source)
    source[1] = 9.0
    assert copied.logit_bias == {1: 2.0}


def test_given_and_changed():
    some = Controls(temperature=0.5, top_k=3)
    assert some.given() == {"temperature": 0.5, "top_k": 3}
    assert some.with_(top_k=None, seed=1) == Controls(temperature=0.5, seed=1)
    assert some == Controls(temperature=0.5, top_k=3), "the first is as it was"


def test_off_sets_all_that_can_be_off():
    off = Controls.off(max_tokens=5)
    assert off.max_tokens == 5
    assert off.given() == {
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        "typical_p": 1.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "no_repeat_ngram_size": 0,
        "dry_multiplier": 0.0,
        "max_tokens": 5,
        "min_tokens": 0,
        "stop": (),
        "ignore_eos": False,
        "logit_bias": {},
        "n": 1,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1]", "no JSON object"),
        ("{", "no JSON object"),
        ('{"topk": 1}', "no control 'topk'"),
        ('{"top_k": "1"}', "top_k is '1'; give a whole number of 0 or more"),
        ('{"logit_bias": {"x": 1}}', "logit_bias is"),
    ],
)
def test_json_that_holds_no_controls(text, words):
    with pytest.raises(SettingsError, match=words):
        Controls.from_json(text)


def test_biases_hash_by_what_they_hold():
    assert hash(Biases({1: 2.0, 3: 4.0})) == hash(Biases({3: 4.0, 1: 2.0}))
