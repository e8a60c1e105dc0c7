"""The stages that remove tokens and leave the logits of the rest as they are.

Each looks at the candidates that are left when its turn comes, with probabilities that add up to 1 over these. So the
same settings remove other tokens in another order. Sources are llama.cpp's src/llama-sampler.cpp (ggml-org/llama.cpp
0c1e57098), vLLM 0.32.0 (vllm/v1/sample), transformers 5.19 (generation/logits_process.py, whose rules TGI 3.3.7 has
as well), read and run against.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from courselib.i18n import _, ngettext
from courselib.sampling.candidates import Candidates
from courselib.sampling.stages import CertainStage, Stage, check_number


@dataclass(frozen=True)
class TopNSigma(CertainStage):
    """Keeps tokens whose logit is at least the highest less ``n`` standard deviations of all logits; llama.cpp only.

    Args:
        n: standard deviations; 0 and below is off.
    """

    n: float
    name = "top_n_sigma"

    def __post_init__(self) -> None:
        check_number("top_n_sigma", self.n, -np.inf)

    @property
    def is_on(self) -> bool:
        """Off at 0 and below."""
        return self.n > 0

    def act(self, candidates: Candidates) -> Candidates:
        """Keep those near the top."""
        logits = candidates.logits
        return candidates.keep(logits >= logits.max() - self.n * logits.std())

    @property
    def setting(self) -> str:
        """Its value."""
        return f"{self.name}={self.n:g}"

    @property
    def rule(self) -> str:
        """What it does."""
        return _("Keeps tokens whose logit is within {n:g} standard deviations of the highest.").format(n=self.n)


@dataclass(frozen=True)
class TopK(CertainStage):
    """Keeps the ``k`` most likely tokens.

    Args:
        k: how many; 0 and below is off, more than there are keeps all.
        ties: keep also those as likely as the last (vLLM, TGI, transformers); llama.cpp keeps exactly ``k``, of equals
            whichever its sorting put first, here the lowest ids.
    """

    k: int
    ties: bool
    name = "top_k"

    @property
    def is_on(self) -> bool:
        """Off at 0 and below."""
        return self.k > 0

    def act(self, candidates: Candidates) -> Candidates:
        """Keep the first k, or those that are not below the k-th."""
        if self.k >= len(candidates):
            return candidates
        best = candidates.best(self.k)
        return candidates.keep(candidates.logits >= candidates.logits[best[-1]] if self.ties else best)

    @property
    def setting(self) -> str:
        """Its value."""
        return f"{self.name}={self.k}"

    @property
    def rule(self) -> str:
        """What it does."""
        kept = ngettext("the most likely token", "the {k} most likely tokens", self.k).format(k=self.k)
        text = _("Keeps {kept}, and any as likely as the last.") if self.ties else _("Keeps {kept}.")
        return text.format(kept=kept)


@dataclass(frozen=True)
class TopP(CertainStage):
    """Keeps the most likely tokens until together they reach the probability ``p``; the one that reaches it is kept.

    All engines have the same rule: a token stays if the tokens before it have less than ``p`` together. Of tokens
    equally likely at the boundary each keeps whichever its sorting put first, for none of them sorts stably; here it is
    the lowest ids.

    Args:
        p: probability, 0 to 1; 1 is off, 0 keeps ``min_keep``, and one at least.
        min_keep: tokens kept whatever their probability.
    """

    p: float
    min_keep: int = 1
    name = "top_p"

    def __post_init__(self) -> None:
        check_number("top_p", self.p, 0, 1)
        check_number("min_keep", self.min_keep, 0)

    @property
    def is_on(self) -> bool:
        """Off at 1."""
        return self.p < 1

    def act(self, candidates: Candidates) -> Candidates:
        """Keep the start of the order."""
        return candidates.keep(candidates.best_until(self.p, max(self.min_keep, 1)))

    @property
    def setting(self) -> str:
        """Its value."""
        return f"{self.name}={self.p:g}"

    @property
    def rule(self) -> str:
        """What it does."""
        return _("Keeps the most likely tokens until together they reach a probability of {p:g}.").format(p=self.p)


@dataclass(frozen=True)
class MinP(CertainStage):
    """Keeps tokens at least ``p`` times as likely as the most likely one; exact equality stays.

    The rule is the same in all engines; its place is not. llama.cpp's default chain has it before temperature, vLLM
    and transformers after.

    Args:
        p: share of the highest probability, 0 to 1; 0 is off.
        min_keep: so many of the likeliest are kept in any case.
    """

    p: float
    min_keep: int = 1
    name = "min_p"

    def __post_init__(self) -> None:
        check_number("min_p", self.p, 0, 1)
        check_number("min_keep", self.min_keep, 0)

    @property
    def is_on(self) -> bool:
        """Off at 0."""
        return self.p > 0

    def act(self, candidates: Candidates) -> Candidates:
        """Keep what is near the top."""
        kept = candidates.logits >= candidates.logits.max() + np.log(self.p)
        return candidates.keep(kept if kept.sum() >= self.min_keep else candidates.best(self.min_keep))

    @property
    def setting(self) -> str:
        """Its value."""
        return f"{self.name}={self.p:g}"

    @property
    def rule(self) -> str:
        """What it does."""
        return _("Keeps tokens at least {p:g} times as likely as the most likely one.").format(p=self.p)


@dataclass(frozen=True)
class Typical(CertainStage):
    """Keeps the tokens whose surprise is closest to the average until together they reach the probability ``p``.

    A token's surprise is -ln of its probability; the average is the entropy. Of tokens equally near, those of higher
    probability come first.

    Args:
        p: probability; 1 and above is off.
        min_keep: tokens kept in any case.
        ties: keep also those as near as the last (TGI, transformers, which stop when ``p`` is reached); llama.cpp stops
            only when it is passed, and cuts exactly there.
    """

    p: float
    ties: bool
    min_keep: int = 1
    name = "typical_p"

    def __post_init__(self) -> None:
        check_number("typical_p", self.p, -np.inf)
        check_number("min_keep", self.min_keep, 0)

    @property
    def is_on(self) -> bool:
        """Off at 1 and above."""
        return self.p < 1

    def act(self, candidates: Candidates) -> Candidates:
        """Keep the most typical."""
        probabilities = candidates.probabilities
        below = candidates.logits - candidates.logits.max()
        surprise = np.log(np.exp(below).sum()) - below
        distance = np.abs(surprise - (probabilities * surprise).sum())
        order = candidates.order[np.argsort(distance[candidates.order], kind="stable")]
        sums = np.cumsum(probabilities[order])
        reached = np.flatnonzero(sums >= self.p if self.ties else sums > self.p)
        n = max(int(reached[0]) + 1 if reached.size else order.size, self.min_keep)
        if not self.ties:
            return candidates.keep(order[:n])
        near = distance <= distance[order[n - 1]]
        return candidates.keep(near)

    @property
    def setting(self) -> str:
        """Its value."""
        return f"{self.name}={self.p:g}"

    @property
    def rule(self) -> str:
        """What it does."""
        return _(
            "Keeps the tokens whose surprise is closest to the average until together they reach a probability of"
            " {p:g}."
        ).format(p=self.p)


@dataclass(frozen=True)
class Xtc(Stage):
    """Exclude top choices: by chance, removes all but the least likely of the tokens above a threshold; llama.cpp only.

    It acts with a probability, so what comes of it is a mixture of two distributions.

    Args:
        probability: that it acts; 0 is off.
        threshold: probability from which a token is a top choice; above 0.5 is off, for there is never a second.
        min_keep: it does nothing where fewer would be left.
    """

    probability: float
    threshold: float = 0.1
    min_keep: int = 0
    name = "xtc"

    def __post_init__(self) -> None:
        check_number("xtc_probability", self.probability, 0, 1)
        check_number("xtc_threshold", self.threshold, 0, 1)
        check_number("min_keep", self.min_keep, 0)

    @property
    def is_on(self) -> bool:
        """Off where it never acts."""
        return self.probability > 0 and self.threshold <= 0.5

    def split(self, candidates: Candidates) -> tuple[tuple[float, Candidates], ...]:
        """All, and what is left without the top choices."""
        top = int((candidates.probabilities >= self.threshold).sum())
        removed = top - 1
        if removed < 1 or len(candidates) - removed < self.min_keep:
            return ((1.0, candidates),)
        kept = np.ones(len(candidates), dtype=np.bool_)
        kept[candidates.best(removed)] = False
        without = candidates.keep(kept)
        if self.probability == 1:
            return ((1.0, without),)
        return ((1 - self.probability, candidates), (self.probability, without))

    @property
    def setting(self) -> str:
        """Its values."""
        return f"xtc_probability={self.probability:g}, xtc_threshold={self.threshold:g}"

    @property
    def rule(self) -> str:
        """What it does."""
        return _(
            "With probability {probability:g}, removes all tokens of {threshold:g} or more except the least likely of"
            " them."
        ).format(probability=self.probability, threshold=self.threshold)
