"""The tokens that may still be chosen, with their logits: what every stage takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from courselib.errors import SettingsError
from courselib.i18n import _

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]

# How many of the likeliest are looked at before all are sorted.
FIRST_LOOK = 256


class LogProbabilities(np.ndarray[Any, np.dtype[np.float64]]):
    """A row of natural logarithms of probabilities: logits less a number that is the same for all, and is not known.

    Every stage but the repetition penalty gives the same from these as from logits; that one refuses them.
    """

    @classmethod
    def of(cls, row: ArrayLike) -> LogProbabilities:
        """A row as such."""
        return np.asarray(row, dtype=np.float64).view(cls)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Tokens that may still be chosen.

    Args:
        ids: their ids, rising, shape (n,).
        logits: their logits, all finite, shape (n,).
        vocabulary: how many tokens there are in all.
        are_logits: whether ``logits`` are logits; if not, they are logits less an unknown number.
    """

    ids: Indices
    logits: Floats
    vocabulary: int
    are_logits: bool = True

    @classmethod
    def of(cls, logits: ArrayLike) -> Candidates:
        """All tokens with a logit above -inf.

        Args:
            logits: one for each token of the vocabulary, shape (vocabulary,). -inf forbids a token. Log-probabilities
                come as ``LogProbabilities``, so that a repetition penalty, which asks for a logit's sign, refuses them.

        Raises:
            SettingsError: they are not one row of numbers, one is NaN or +inf, or all are -inf.
        """
        row = np.asarray(logits, dtype=np.float64)
        if row.ndim != 1 or not row.size:
            raise SettingsError(
                _("Logits come as one row, a number for each token; these have the shape {shape}.").format(
                    shape=row.shape
                )
            )
        if np.isnan(row).any() or (row == np.inf).any():
            raise SettingsError(
                _("Token {token} has the logit {value}, which no engine can sample from; look at its source.").format(
                    token=int(np.argmax(np.isnan(row) | (row == np.inf))),
                    value=row[np.isnan(row) | (row == np.inf)][0],
                )
            )
        ids = np.flatnonzero(row > -np.inf)
        if not ids.size:
            raise SettingsError(_("Every token is forbidden (all logits are -inf); allow at least one."))
        return cls(ids, row[ids], row.size, are_logits=not isinstance(logits, LogProbabilities))

    def __len__(self) -> int:
        return self.ids.size

    @cached_property
    def probabilities(self) -> Floats:
        """Softmax of the logits, shape (n,)."""
        weights = np.exp(self.logits - self.logits.max())
        shares: Floats = weights / weights.sum()
        return shares

    @cached_property
    def order(self) -> Indices:
        """Positions from the highest logit to the lowest, of equals the lowest id first, shape (n,)."""
        return np.argsort(-self.logits, kind="stable")

    def best(self, n: int) -> Indices:
        """The first ``n`` of ``order``, without sorting all for a few."""
        if n >= len(self) or "order" in self.__dict__:
            return self.order[:n]
        least = np.partition(self.logits, len(self) - n)[len(self) - n]
        above, equal = np.flatnonzero(self.logits > least), np.flatnonzero(self.logits == least)
        chosen = np.concatenate([above, equal[: n - above.size]])
        return chosen[np.argsort(-self.logits[chosen], kind="stable")]

    def best_until(self, mass: float, least: int) -> Indices:
        """The start of ``order``: as few as together reach the probability ``mass``, and ``least`` at least."""
        for n in (FIRST_LOOK, len(self)):
            first = self.best(n)
            reached = np.flatnonzero(np.cumsum(self.probabilities[first]) >= mass)
            if reached.size:
                return first[: max(int(reached[0]) + 1, least)]
        return self.order

    def keep(self, kept: Mask | Indices) -> Candidates:
        """Those at the positions ``kept``, or where the mask is true."""
        if kept.dtype != np.bool_:
            mask = np.zeros(len(self), dtype=np.bool_)
            mask[kept] = True
            kept = mask
        return replace(self, ids=self.ids[kept], logits=self.logits[kept])

    def with_logits(self, logits: Floats) -> Candidates:
        """The same tokens with other logits; those that are -inf now drop out."""
        alive = logits > -np.inf
        kept = self if alive.all() else self.keep(alive)
        return replace(kept, logits=logits[alive])

    def divided(self, by: float) -> Candidates:
        """The same with all logits divided, which leaves their order as it is."""
        new = replace(self, logits=self.logits / by)
        if "order" in self.__dict__:
            new.__dict__["order"] = self.order
        return new

    def full(self, values: Floats, missing: float) -> Floats:
        """A value for each token of the vocabulary: ``values`` for the candidates, ``missing`` for the rest."""
        row = np.full(self.vocabulary, missing)
        row[self.ids] = values
        return row
