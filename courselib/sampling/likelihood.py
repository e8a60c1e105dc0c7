"""How well a model predicts a text, and how far another model's predictions are from its own.

Pure arrays: ``logits`` have the shape (tokens, vocabulary), raw; row *i* is what the model says after token *i*.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from courselib.errors import SettingsError
from courselib.i18n import _

Floats = npt.NDArray[np.float64]


def log_softmax(logits: npt.ArrayLike) -> Floats:
    """Natural logs of the probabilities, row by row: the logits less the log of the sum of their exponentials."""
    values = np.asarray(logits, dtype=np.float64)
    shifted = values - values.max(axis=-1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return result


def text_perplexity(logits: npt.ArrayLike, tokens: npt.ArrayLike) -> float:
    """The exponential of the mean negative log-probability of each token after the first.

    A model that chooses evenly among n tokens has a perplexity of n (Jelinek and others, 1977).

    Args:
        logits: shape (n, vocabulary).
        tokens: the text's n token ids.

    Raises:
        SettingsError: there are fewer than two tokens, or not as many as rows.
    """
    rows, ids = np.asarray(logits), np.asarray(tokens, dtype=np.int64)
    if len(ids) < 2 or len(ids) != len(rows):
        text = _("Perplexity needs two tokens or more and a row of logits for each; there are {tokens} and {rows}.")
        raise SettingsError(text.format(tokens=len(ids), rows=len(rows)))
    # Row by row: a vocabulary has 50,000 tokens and more, and all rows at once would take a gigabyte.
    chosen = [log_softmax(row)[token] for row, token in zip(rows[:-1], ids[1:], strict=True)]
    return float(np.exp(-np.mean(chosen)))


def kl_divergence(logits: npt.ArrayLike, others: npt.ArrayLike) -> float:
    """The mean over rows of the Kullback-Leibler divergence, in nats, of ``others`` from ``logits``.

    It is 0 where both give every token the same probability (Kullback and Leibler, 1951).

    Raises:
        SettingsError: the shapes differ.
    """
    first, second = _pair(logits, others)
    return float(
        np.mean([_divergence(log_softmax(one), log_softmax(other)) for one, other in zip(first, second, strict=True)])
    )


def top_agreement(logits: npt.ArrayLike, others: npt.ArrayLike) -> float:
    """The share of rows in which both have the same most probable token.

    Raises:
        SettingsError: the shapes differ.
    """
    first, second = _pair(logits, others)
    return float((first.argmax(axis=-1) == second.argmax(axis=-1)).mean())


def _divergence(p: Floats, q: Floats) -> float:
    """Of two rows of log-probabilities; a token that is impossible in the first adds nothing."""
    possible = np.isfinite(p)
    return float((np.exp(p[possible]) * (p[possible] - q[possible])).sum())


def _pair(logits: npt.ArrayLike, others: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    first, second = np.asarray(logits), np.asarray(others)
    if first.shape != second.shape:
        text = _("Two models are compared on the same tokens and vocabulary; these have the shapes {one} and {other}.")
        raise SettingsError(text.format(one=first.shape, other=second.shape))
    return first, second
