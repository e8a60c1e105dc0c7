"""Measures of distributions, the duel of two pipelines, and what a person is told of a step."""

import math

import numpy as np
import pytest

from courselib import sampling
from courselib.controls.controls import Controls
from courselib.errors import SettingsError
from courselib.sampling import Context, pipeline
from tests.sampling import cases


def test_measures_have_their_textbook_values():
    assert sampling.entropy(np.array([0.5, 0.25, 0.125, 0.125])) == 1.75
    assert sampling.entropy(np.array([0.0, 1.0])) == 0
    assert math.isclose(sampling.perplexity(np.full(8, 1 / 8)), 8)
    assert sampling.survivors(np.array([0.5, 0, 0.5])) == 2
    left, right = np.array([0.5, 0.5, 0, 0]), np.array([0, 0.25, 0.25, 0.5])
    assert sampling.total_variation(left, right) == 0.75
    assert sampling.overlap(left, right) == (1, 1, 2)
    assert sampling.top(np.array([0.2, 0.5, 0.0, 0.3]), 2) == [(1, 0.5), (3, 0.3)]
    assert sampling.top(np.array([0.5, 0.0, 0.5]), 9) == [(0, 0.5), (2, 0.5)]


def test_softmax_bears_logits_of_any_size():
    np.testing.assert_allclose(sampling.softmax([1000.0, 1000.0, -np.inf, -1e9]), [0.5, 0.5, 0, 0])


@pytest.mark.parametrize(
    ("logits", "words"),
    [
        ([1.0, math.nan], "Token 1 has the logit nan"),
        ([math.inf, 1.0], "Token 0 has the logit inf"),
        ([-math.inf, -math.inf], "Every token is forbidden"),
        ([], r"shape \(0,\)"),
        ([[1.0, 2.0]], r"shape \(1, 2\)"),
    ],
)
def test_logits_that_cannot_be_sampled_from_are_refused(logits, words):
    with pytest.raises(SettingsError, match=words):
        sampling.softmax(logits)
    for engine in sampling.PIPELINES:
        with pytest.raises(SettingsError, match=words):
            pipeline(engine, Controls()).run(logits)


@pytest.mark.parametrize("engine", sampling.PIPELINES)
def test_extreme_controls_give_a_distribution(engine):
    row = next(cases.rows(full=0))
    likeliest = int(np.argmax(row))
    for given in (
        Controls.off(temperature=0),
        Controls.off(top_k=1),
        Controls.off(top_p=1e-300),
        Controls.off(temperature=0.01, top_k=10**9, top_p=1.0, min_p=1.0),
    ):
        probabilities = pipeline(engine, given).probabilities(row)
        assert math.isclose(probabilities.sum(), 1)
        assert probabilities[likeliest] > 0.9 or given.min_p == 1, (engine, given)
    np.testing.assert_allclose(pipeline(engine, Controls.off()).probabilities(row), sampling.softmax(row))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"temperature": 1e-320}, "logits overflow"),
        ({"logit_bias": {7: 1.0}}, "There is no token 7"),
    ],
)
def test_controls_that_cannot_be_computed_are_refused(given, words):
    engine = "transformers"
    with pytest.raises(SettingsError, match=words):
        pipeline(engine, Controls(**given)).run([1.0, 2.0])


def test_llama_cpp_drops_biases_outside_the_vocabulary():
    given = Controls.off(logit_bias={7: 5.0, 0: 1.0})
    np.testing.assert_allclose(pipeline("llama.cpp", given).probabilities([1.0, 2.0]), [0.5, 0.5])


def test_a_duel_names_the_first_stage_after_which_two_engines_differ():
    row = np.random.default_rng(1).normal(0, 3, 500)
    run = lambda engine, **values: pipeline(engine, Controls.off(**values), Context((1, 2), (3,))).run(row)  # noqa: E731
    parted = sampling.first_divergence(
        run("llama.cpp", temperature=1.5, top_k=20), run("vllm", temperature=1.5, top_k=20)
    )
    assert (parted.left.name, parted.right.name) == ("top_k", "temperature")
    assert sampling.first_divergence(run("llama.cpp", top_k=20), run("vllm", top_k=20)) is None
    parted = sampling.first_divergence(run("llama.cpp", presence_penalty=1), run("vllm", presence_penalty=1))
    assert (parted.left.name, parted.right.name) == ("penalties", "penalties")
    parted = sampling.first_divergence(run("tgi", top_k=20, min_p=0.5), run("vllm", top_k=20, min_p=0.5))
    assert (parted.left.name, parted.right.name) == ("top_k", "min_p")
    parted = sampling.first_divergence(run("tgi", top_k=20), run("llama.cpp", top_k=20, min_p=0.5))
    assert (parted.left, parted.right.name) == (None, "min_p")


def test_a_token_is_followed_through_the_stages():
    outcome = pipeline("llama.cpp", Controls.off(top_k=2, temperature=0.5)).run(np.log([0.5, 0.3, 0.2]))
    by_stage = dict(zip(["start", *(step.name for step in outcome.steps)], outcome.follow(1), strict=True))
    assert math.isclose(by_stage["start"], 0.3)
    assert math.isclose(by_stage["top_k"], 0.375)
    assert math.isclose(by_stage["temperature"], 0.09 / 0.34)
    assert outcome.follow(2)[-1] == 0


def test_a_step_says_what_it_removed_and_why():
    steps = {
        step.name: step for step in pipeline("llama.cpp", Controls.off(top_k=1)).run(np.log([0.5, 0.3, 0.2])).steps
    }
    assert steps["top_k"].sentence == "Keeps the most likely token. 2 of 3 tokens go, 50.00% of the probability."
    assert steps["top_p"].sentence == "Off: top_p=1."
    for engine in sampling.PIPELINES:
        for step in pipeline(engine, Controls(), Context((0, 0), (0,))).run(np.zeros(3)).steps:
            assert step.sentence.endswith(".")


def test_what_was_run_is_left_as_it_was():
    row = np.log([0.5, 0.3, 0.2])
    kept = row.copy()
    outcome = pipeline("vllm", Controls(temperature=0.5, repetition_penalty=2), Context((0,))).run(row)
    first = outcome.start.logits.copy()
    assert outcome.probabilities.sum()
    np.testing.assert_array_equal(row, kept)
    np.testing.assert_array_equal(outcome.start.logits, first)
