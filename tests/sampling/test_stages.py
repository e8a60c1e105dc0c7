"""Each stage against a plain reference on a thousand rows of logits, and at its boundaries."""

import math

import numpy as np
import pytest

from courselib.sampling.candidates import Candidates
from courselib.sampling.dry import Dry
from courselib.sampling.penalties import LogitBias, NoEnd, NoRepeatNgram, Penalties
from courselib.sampling.pipeline import Pipeline
from courselib.sampling.stages import Greedy, Temperature
from courselib.sampling.truncation import MinP, TopK, TopNSigma, TopP, Typical, Xtc
from tests.sampling import cases, reference


def check(stage, row, expected):
    """The stage's distribution is the mixture of the expected ones; of each step, mask and counts fit to it."""
    if not all(left for _weight, left in expected):
        with pytest.raises(ValueError, match="leaves no token"):
            Pipeline("test", (stage,)).run(row)
        return
    outcome = Pipeline("test", (stage,)).run(row)
    mixed = np.zeros(row.size)
    for weight, left in expected:
        for token, share in reference.probabilities(left).items():
            mixed[token] += weight * share
    kept = np.isin(np.arange(row.size), [token for _weight, left in expected for token in left])
    step = outcome.steps[0]
    np.testing.assert_allclose(outcome.probabilities, mixed, rtol=1e-9, atol=1e-12, err_msg=repr(stage))
    assert (step.kept == kept).all(), stage
    assert step.survivors == kept.sum()
    if step.survivors > 1:
        assert math.isclose(step.probabilities.sum(), 1)
    before = reference.probabilities(cases.left_of(row))
    gone = math.fsum(weight * math.fsum(s for t, s in before.items() if t not in left) for weight, left in expected)
    assert math.isclose(step.removed_mass, gone, abs_tol=1e-9)


def one(left):
    return [(1.0, left)]


def settings(random, row):
    """Every stage with settings drawn across their range, and what the reference makes of the row."""
    left, size = cases.left_of(row), row.size
    history, output = cases.tokens(random, size), cases.tokens(random, size)
    few = size <= 200
    bias = {int(token): float(random.choice([-np.inf, -5, 0.5, 30])) for token in random.integers(0, size, 3)}
    yield LogitBias(bias), one(reference.logit_bias(left, bias))
    yield NoEnd(history[:2]), one({t: v for t, v in left.items() if t not in history[:2]})
    if few:
        numbers = (float(random.uniform(0.5, 2)), float(random.uniform(-2, 2)), float(random.uniform(-2, 2)))
        yield Penalties(*numbers, history, output), one(reference.penalties(left, *numbers, history, output))
        yield (
            Penalties(*numbers, history, history, relative=True),
            one(reference.penalties(left, *numbers, history, history, relative=True)),
        )
        n = int(random.integers(0, 5))
        yield NoRepeatNgram(n, history), one(reference.no_repeat_ngram(left, n, history))
        breakers = tuple((int(token),) for token in random.integers(0, size, int(random.integers(0, 3))))
        numbers = (float(random.uniform(0, 3)), float(random.uniform(1, 3)), int(random.integers(0, 4)))
        yield Dry(*numbers, history, breakers), one(reference.dry(left, *numbers, history, breakers))
    sigma = float(random.uniform(-0.5, 4))
    yield TopNSigma(sigma), one(reference.top_n_sigma(left, sigma))
    k = int(random.integers(-1, size + 5))
    keep = int(random.integers(0, 4))
    p = float(random.uniform(0, 1))
    for ties in (False, True):
        yield TopK(k, ties), one(reference.top_k(left, k, ties))
        yield Typical(p, ties), one(reference.typical(left, p, ties, 1))
    yield Typical(p, False, keep), one(reference.typical(left, p, False, keep))
    yield TopP(p, keep), one(reference.top_p(left, p, keep))
    yield MinP(p, keep), one(reference.min_p(left, p, keep))
    threshold = float(random.uniform(0, 0.3))
    for chance in (0.0, p, 1.0):
        yield Xtc(chance, threshold, keep), reference.xtc(left, chance, threshold, keep)
    value = float(random.uniform(0.05, 2))
    yield Temperature(value), one(reference.temperature(left, value))
    yield Greedy(), one(reference.greedy(left))


def agree(chosen):
    for i, row in enumerate(cases.rows()):
        if chosen(i):
            for stage, expected in settings(np.random.default_rng(i), row):
                check(stage, row, expected)


@pytest.mark.parametrize("part", range(5))
def test_every_stage_agrees_with_the_plain_reference(part):
    agree(lambda i: i >= cases.FULL_ROWS and i % 5 == part)


@pytest.mark.slow
def test_every_stage_agrees_with_the_plain_reference_on_a_whole_vocabulary():
    agree(lambda i: i < cases.FULL_ROWS)


EIGHTHS = np.log([0.5, 0.25, 0.125, 0.0625, 0.0625])


# What TGI's own class gives (3.3.7, executed); the other engines have the same rule.
@pytest.mark.parametrize(
    ("p", "kept"), [(0.4, 1), (0.5, 1), (0.5001, 2), (0.75, 2), (0.7501, 3), (0.875, 3), (0.95, 5), (0, 1)]
)
def test_top_p_keeps_the_token_that_reaches_it(p, kept):
    step = Pipeline("", (TopP(p),)).run(EIGHTHS).steps[0]
    assert np.flatnonzero(step.kept).tolist() == list(range(kept))


def test_top_p_cuts_among_equals():
    step = Pipeline("", (TopP(0.5),)).run(np.zeros(4)).steps[0]
    assert np.flatnonzero(step.kept).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("k", "ties", "kept"), [(1, True, [1, 2, 3]), (1, False, [1]), (2, False, [1, 2]), (9, False, [0, 1, 2, 3])]
)
def test_top_k_and_equals(k, ties, kept):
    step = Pipeline("", (TopK(k, ties),)).run([1.0, 3.0, 3.0, 3.0]).steps[0]
    assert np.flatnonzero(step.kept).tolist() == kept


# TGI's class again: surprise is the number of halvings, their average 1.875.
@pytest.mark.parametrize(("p", "kept"), [(0.2, [1]), (0.5, [0, 1]), (0.9, [0, 1, 2, 3, 4])])
def test_typical_keeps_what_tgi_keeps(p, kept):
    step = Pipeline("", (Typical(p, ties=True),)).run(EIGHTHS).steps[0]
    assert np.flatnonzero(step.kept).tolist() == kept


def test_min_p_keeps_exact_equality():
    step = Pipeline("", (MinP(0.25),)).run(np.log([4.0, 1.0, 0.5])).steps[0]
    assert step.survivors == 2


def test_penalties_are_those_that_engines_computed():
    # llama.cpp's own, on a toy: 3 -> 3/2 - 3*0.5 - 0.25, -1 -> -1*2 - 0.5 - 0.25.
    stage = Penalties(2, 0.25, 0.5, (0, 1), (0, 0, 0, 1))
    np.testing.assert_allclose(stage.act(Candidates.of([3.0, -1.0, 1.0])).logits, [-0.25, -2.75, 1.0])
    # TGI's own: frequency 0.5 on [0, 0, 1], by shares.
    stage = Penalties(frequency=0.5, counted=(0, 0, 1), relative=True)
    np.testing.assert_allclose(stage.act(Candidates.of([2.0, -1.0, 0.5])).logits, [2 - 1 / 3, -1 - 0.5 / 3, 0.5])


def test_xtc_is_a_mixture():
    outcome = Pipeline("", (Xtc(0.25, 0.1),)).run(np.log([0.6, 0.3, 0.1]) + 1)
    # Two or three tokens of 0.1 or more: all but the least likely go in a quarter of the draws.
    np.testing.assert_allclose(outcome.probabilities, [0.45, 0.225, 0.325])
    assert outcome.steps[0].removed == 0
    assert math.isclose(outcome.steps[0].removed_mass, 0.225)
    np.testing.assert_allclose(np.exp(outcome.steps[0].logits), outcome.probabilities)


def test_temperature_after_xtc_acts_on_both_of_its_outcomes():
    outcome = Pipeline("", (Xtc(0.5, 0.2), Temperature(0.5))).run(np.log([0.5, 0.3, 0.2]))
    both = np.array([0.25, 0.09, 0.04]) / 0.38
    np.testing.assert_allclose(outcome.probabilities, (both + np.array([0, 0, 1])) / 2)


def test_dry_runs_end_at_breakers_of_several_tokens():
    context = (5, 6, 8, 1, 5, 6, 8)
    assert Dry(1, 2, 1, context).runs() == {1: 3}
    assert Dry(1, 2, 1, context, ((5, 6),)).runs() == {1: 1}
    assert Dry(1, 2, 1, context, ((5, 7),)).runs() == {1: 3}


def test_dry_never_overflows():
    row = Pipeline("", (Dry(1, 4, 0, (0,) * 2000),)).run([0.0, 1.0]).end.logits
    assert np.isfinite(row).all()
