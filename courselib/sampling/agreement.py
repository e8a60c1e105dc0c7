"""Whether tokens that an engine has drawn could have come from a predicted distribution: Pearson's chi-square test.

Tokens expected less than five times are counted together, without which the test's distribution does not hold (Cochran
1952). The tail of the chi-square distribution is computed here, in two dozen lines: SciPy, a package of 40 MB that the
course would need for this one function, is the reference in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from courselib.errors import SettingsError
from courselib.i18n import _, ngettext
from courselib.sampling.candidates import Floats

LEAST_EXPECTED = 5.0
# The test calls one in a thousand good predictions bad.
LEVEL = 0.001
# A prediction for some tokens only adds up to less than 1 by more than rounding.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Agreement:
    """The outcome of comparing drawn tokens with a prediction.

    Args:
        draws: how many tokens were drawn.
        statistic: chi-square, the sum over the bins of (observed - expected)²/expected.
        freedom: degrees of freedom, the number of bins less one.
        p_value: how likely a statistic as great or greater is, were the prediction right; 0 if a token was drawn that
            it calls impossible.
        outside: how many draws were of tokens that the prediction calls impossible.
        total_variation: between observed shares and prediction, 0 to 1; random draws alone make it greater than 0.
        level: the p-value below which the prediction is rejected.
    """

    draws: int
    statistic: float
    freedom: int
    p_value: float
    outside: int
    total_variation: float
    level: float = LEVEL

    @property
    def agrees(self) -> bool:
        """Whether the prediction stands."""
        return self.p_value >= self.level

    @property
    def verdict(self) -> str:
        """The outcome, for a person."""
        if self.outside:
            return ngettext(
                "{n} of {draws} tokens cannot come from this distribution: the engine does not sample from it.",
                "{n} of {draws} tokens cannot come from this distribution: the engine does not sample from it.",
                self.outside,
            ).format(n=self.outside, draws=self.draws)
        if not self.agrees:
            return _(
                "If this were the distribution, {draws} tokens would differ from it this much with a probability of"
                " {p:.2g}: the engine does not sample from it."
            ).format(draws=self.draws, p=self.p_value)
        if not self.freedom:
            return _("All {draws} tokens are the one that this distribution allows.").format(draws=self.draws)
        return _(
            "{draws} tokens agree with this distribution: random draws differ this much or more with a probability"
            " of {p:.2g}."
        ).format(draws=self.draws, p=self.p_value)


def agreement(counts: Mapping[int, int], predicted: Floats, *, level: float = LEVEL) -> Agreement:
    """Compare drawn tokens with a predicted distribution.

    Args:
        counts: how often each token id was drawn.
        predicted: probability of each token of the vocabulary, shape (vocabulary,). If they add up to less than 1, the
            rest stands for all tokens predicted 0, one bin that is known only together.
        level: p-value below which the prediction is rejected.

    Raises:
        SettingsError: nothing was drawn, or a count is of no token.
    """
    draws = sum(counts.values())
    if not draws:
        raise SettingsError(_("No token was drawn; draw some first."))
    observed = np.zeros(predicted.size)
    for token, count in counts.items():
        if not 0 <= token < predicted.size:
            raise SettingsError(
                _("Token {token} was drawn, but the prediction is for {size} tokens; they are of different models.")
                .format(token=token, size=predicted.size)
            )  # fmt: skip
        observed[token] = count
    possible = predicted > 0
    unlisted = float(observed[~possible].sum())
    rest = 1.0 - float(predicted.sum())
    seen, expected = observed[possible], predicted[possible] * draws
    if rest > ROUNDING:
        seen, expected = np.append(seen, unlisted), np.append(expected, rest * draws)
        unlisted = 0.0
    variation = (float(np.abs(seen - expected).sum()) + unlisted) / draws / 2
    seen, expected = _binned(seen, expected)
    statistic = float(((seen - expected) ** 2 / expected).sum())
    freedom = expected.size - 1
    p_value = 0.0 if unlisted else chi_square_tail(statistic, freedom)
    return Agreement(draws, statistic, freedom, p_value, int(unlisted), variation, level)


def _binned(observed: Floats, expected: Floats) -> tuple[Floats, Floats]:
    """Each bin expected often enough: the rare ones together, with the rarest other if that is not enough."""
    order = np.argsort(-expected, kind="stable")
    observed, expected = observed[order], expected[order]
    often = int((expected >= LEAST_EXPECTED).sum())
    if expected[often:].sum() < LEAST_EXPECTED:
        often -= 1
    often = max(often, 0)
    if often == expected.size:
        return observed, expected
    return (
        np.append(observed[:often], observed[often:].sum()),
        np.append(expected[:often], expected[often:].sum()),
    )


def chi_square_tail(statistic: float, freedom: int) -> float:
    """Probability of a chi-square variable above ``statistic``: the regularised incomplete gamma function Q(k/2, x/2).

    A power series below the mean, a continued fraction above it (Abramowitz and Stegun 6.5.29 and 6.5.31), both to
    the last digits of a double.
    """
    shape, x = freedom / 2, statistic / 2
    if freedom == 0 or x <= 0:
        return 1.0
    scale = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1:
        term = total = 1 / shape
        k = shape
        while term > total * 1e-17:
            k += 1
            term *= x / k
            total += term
        return max(0.0, 1 - scale * total)
    # Lentz's method for 1/(x+1-a- 1(1-a)/(x+3-a- 2(2-a)/(x+5-a- ...))).
    b = x + 1 - shape
    c = math.inf
    fraction = d = 1 / b
    step = 0.0
    i = 0
    while abs(step - 1) > 1e-15:
        i += 1
        a = i * (shape - i)
        b += 2
        d = 1 / (a * d + b)
        c = b + a / c
        step = c * d
        fraction *= step
    return scale * fraction
