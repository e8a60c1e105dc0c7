"""The chi-square test: its tail against SciPy, its level by experiment, and what it says."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy.special import gammaincc

from courselib.errors import SettingsError
from courselib.sampling import agreement
from courselib.sampling.agreement import chi_square_tail


def test_the_tail_is_scipys():
    for freedom in (1, 2, 3, 10, 99, 1000, 20_000):
        for factor in (1e-9, 0.01, 0.5, 0.9, 1, 1.1, 2, 5):
            statistic = freedom * factor
            ours, theirs = chi_square_tail(statistic, freedom), gammaincc(freedom / 2, statistic / 2)
            assert math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-13), (statistic, freedom)


@pytest.mark.parametrize(
    ("statistic", "freedom", "p"), [(3.841458821, 1, 0.05), (9.210340372, 2, 0.01), (18.30703805, 10, 0.05)]
)
def test_the_tail_is_the_textbooks(statistic, freedom, p):
    assert math.isclose(chi_square_tail(statistic, freedom), p, rel_tol=1e-7)


def draw(random, probabilities, n):
    return Counter(random.choice(probabilities.size, size=n, p=probabilities).tolist())


def distribution(random, size=2000):
    weights = np.exp(random.normal(0, 3, size))
    return weights / weights.sum()


def test_true_predictions_are_rejected_as_often_as_the_level_says():
    random = np.random.default_rng(2)
    p = np.array([agreement(draw(random, d, 500), d).p_value for d in (distribution(random) for _ in range(1000))])
    assert 0.03 < (p < 0.05).mean() < 0.075
    assert (p < 0.001).mean() < 0.006


def test_a_false_prediction_is_rejected():
    random = np.random.default_rng(3)
    truth = distribution(random)
    warmer = truth**0.9 / (truth**0.9).sum()
    result = agreement(draw(random, truth, 2000), warmer)
    assert not result.agrees
    assert result.outside == 0
    assert "the engine does not sample from it" in result.verdict
    assert agreement(draw(random, truth, 2000), truth).agrees


def test_one_token_outside_the_support_is_enough():
    result = agreement({0: 1999, 2: 1}, np.array([1.0, 0.0, 0.0]))
    assert (result.outside, result.p_value, result.agrees) == (1, 0.0, False)
    assert result.verdict.startswith("1 of 2000 tokens cannot come from")


def test_certainty_agrees():
    result = agreement({1: 50}, np.array([0.0, 1.0]))
    assert (result.freedom, result.p_value, result.total_variation) == (0, 1.0, 0.0)
    assert "the one that this distribution allows" in result.verdict


def test_rare_tokens_are_counted_together():
    predicted = np.array([0.9] + [0.1 / 1000] * 1000)
    result = agreement({0: 900, **dict.fromkeys(range(1, 101), 1)}, predicted)
    assert result.freedom == 1
    assert result.statistic < 1e-20
    # Too rare even together, they join the rarest of the others.
    assert agreement({0: 10, 1: 8}, np.array([0.5, 0.45, 0.05])).freedom == 1


def test_what_is_not_predicted_is_one_bin():
    top_two = np.array([0.5, 0.3, 0.0, 0.0])
    result = agreement({0: 50, 1: 30, 2: 15, 3: 5}, top_two)
    assert (result.freedom, result.outside) == (2, 0)
    assert result.statistic < 1e-20
    assert not agreement({0: 10, 1: 10, 2: 80}, top_two).agrees


def test_draws_that_cannot_be_compared_are_refused():
    with pytest.raises(SettingsError, match="No token was drawn"):
        agreement({}, np.array([1.0]))
    with pytest.raises(SettingsError, match="different models"):
        agreement({5: 1}, np.array([1.0]))
