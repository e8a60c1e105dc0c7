"""Perplexity and divergence of two models on a text, against plain sums and SciPy."""

import math

import numpy as np
import pytest
from scipy.special import log_softmax as reference
from scipy.stats import entropy

from courselib.errors import SettingsError
from courselib.sampling import kl_divergence, log_softmax, text_perplexity, top_agreement

RNG = np.random.default_rng(7)
LOGITS = RNG.normal(scale=3, size=(6, 11)).astype(np.float32)
OTHERS = RNG.normal(scale=3, size=(6, 11)).astype(np.float32)
TOKENS = [3, 1, 4, 1, 5, 9]


def test_logs_of_probabilities():
    assert log_softmax(LOGITS) == pytest.approx(reference(LOGITS.astype(float), axis=-1))
    assert np.exp(log_softmax([1000.0, 1000.0])) == pytest.approx([0.5, 0.5])


def test_perplexity_is_the_inverse_of_the_geometric_mean():
    chosen = [math.exp(reference(LOGITS[row].astype(float))[TOKENS[row + 1]]) for row in range(5)]
    assert text_perplexity(LOGITS, TOKENS) == pytest.approx(math.prod(chosen) ** (-1 / 5))


def test_a_model_that_cannot_decide_among_n_has_perplexity_n():
    assert text_perplexity(np.zeros((4, 20)), [0, 7, 19, 3]) == pytest.approx(20)


def test_divergence():
    p, q = (np.exp(reference(each.astype(float), axis=-1)) for each in (LOGITS, OTHERS))
    assert kl_divergence(LOGITS, OTHERS) == pytest.approx(np.mean(entropy(p, q, axis=-1)))
    assert kl_divergence(LOGITS, LOGITS + 5) == pytest.approx(0, abs=1e-6)


def test_a_token_that_is_impossible_in_the_first_adds_nothing():
    assert kl_divergence([[0.0, -math.inf]], [[0.0, 0.0]]) == pytest.approx(math.log(2))


def test_agreement_of_the_most_probable_token():
    assert top_agreement([[1, 2, 3], [3, 2, 1]], [[0, 0, 9], [0, 9, 0]]) == 0.5


def test_what_cannot_be_compared():
    with pytest.raises(SettingsError, match="shapes"):
        kl_divergence(LOGITS, LOGITS[:3])
    with pytest.raises(SettingsError, match="two tokens or more"):
        text_perplexity(LOGITS[:1], [3])
    with pytest.raises(SettingsError, match="5 and 6"):
        text_perplexity(LOGITS, TOKENS[:5])
