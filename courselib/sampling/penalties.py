"""The stages that change the logits of single tokens: biases, bans, and penalties for what was there before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.sampling.candidates import Candidates, Indices
from courselib.sampling.stages import CertainStage, check_number

# The greatest float32, in which engines compute: finite, that is.
GREATEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class LogitBias(CertainStage):
    """Adds to the logits of single tokens; first in every engine that has it.

    Args:
        bias: token id to what is added, in logits; -inf forbids the token. Ids outside the vocabulary do nothing
            (llama-server) unless ``strict`` (vLLM answers with an error).
        strict: refuse ids outside the vocabulary.
    """

    bias: Mapping[int, float]
    strict: bool = False
    name = "logit_bias"

    def __post_init__(self) -> None:
        for token, bias in self.bias.items():
            if not bias < np.inf:
                raise SettingsError(
                    _("The bias of token {token} is {bias}; give a number, or -inf to forbid it.").format(
                        token=token, bias=bias
                    )
                )

    @property
    def is_on(self) -> bool:
        """Off where no token has a bias."""
        return bool(self.bias)

    def act(self, candidates: Candidates) -> Candidates:
        """Add the biases."""
        row = candidates.full(candidates.logits, -np.inf)
        for token, bias in self.bias.items():
            if 0 <= token < candidates.vocabulary:
                row[token] += bias
            elif self.strict:
                raise SettingsError(
                    _("There is no token {token} to bias: the vocabulary has {size}, counted from 0.").format(
                        token=token, size=candidates.vocabulary
                    )
                )
        return candidates.with_logits(row[candidates.ids])

    @property
    def setting(self) -> str:
        """How many tokens have a bias."""
        return _("{name} of {n} tokens").format(name=self.name, n=len(self.bias))

    @property
    def rule(self) -> str:
        """What it does."""
        return _("Adds a given number to the logits of given tokens.")


@dataclass(frozen=True)
class NoEnd(CertainStage):
    """Forbids the tokens that end an answer: while ``min_tokens`` are not reached, or always.

    Args:
        ends: their ids.
        control: what asks for it, ``min_tokens`` or ``ignore_eos``.
    """

    ends: tuple[int, ...]
    control: str = "min_tokens"
    name = "no_end"

    @property
    def is_on(self) -> bool:
        """Off where no such token is known."""
        return bool(self.ends)

    def act(self, candidates: Candidates) -> Candidates:
        """Drop them."""
        return candidates.keep(~np.isin(candidates.ids, self.ends))

    @property
    def setting(self) -> str:
        """What asks for it."""
        return self.control

    @property
    def rule(self) -> str:
        """What it does."""
        return _("Forbids the tokens that end an answer.")


@dataclass(frozen=True)
class Penalties(CertainStage):
    """Repetition, presence and frequency penalty, which all engines compute in this order and on tokens of their own.

    A token of ``repeated`` has its logit divided by ``repetition`` where it is above 0, else multiplied; one of
    ``counted`` then loses ``frequency`` for each time it is there, and ``presence`` once.

    | engine | repeated | counted |
    |---|---|---|
    | llama-server | last 64 of prompt and output | the same |
    | llama_cpp.Llama | last 64 of output | the same |
    | vLLM | prompt and output | output |
    | TGI | prompt and output | the same, ``relative`` |
    | transformers | prompt and output | has neither |

    Sources: llama_sampler_penalties_apply (llama.cpp 0c1e57098); vllm/model_executor/layers/utils.py (0.32.0);
    server/text_generation_server/utils/logits_process.py (TGI 3.3.7); RepetitionPenaltyLogitsProcessor
    (transformers 5.19).

    Args:
        repetition: factor above 0; 1 is off. Below 1 it favours what was there.
        presence: in logits; 0 is off.
        frequency: in logits for each occurrence; 0 is off.
        repeated: token ids that ``repetition`` looks at.
        counted: token ids that ``presence`` and ``frequency`` look at.
        relative: count in shares of all tokens in ``counted``, as TGI does, and not in occurrences.
    """

    repetition: float = 1.0
    presence: float = 0.0
    frequency: float = 0.0
    repeated: tuple[int, ...] = field(default=(), repr=False)
    counted: tuple[int, ...] = field(default=(), repr=False)
    relative: bool = False
    name = "penalties"

    def __post_init__(self) -> None:
        check_number("repetition_penalty", self.repetition, 0, above=True)
        check_number("presence_penalty", self.presence, -GREATEST, GREATEST)
        check_number("frequency_penalty", self.frequency, -GREATEST, GREATEST)

    @property
    def is_on(self) -> bool:
        """Off where all three are, or where no token was there before."""
        return bool((self.repetition != 1 and self.repeated) or ((self.presence or self.frequency) and self.counted))

    def act(self, candidates: Candidates) -> Candidates:
        """Lower the logits of tokens that were there before.

        Raises:
            SettingsError: the repetition penalty divides logits, and these are log-probabilities.
        """
        row = candidates.full(candidates.logits, -np.inf)
        seen = _inside(np.unique(self.repeated), candidates.vocabulary)
        if self.repetition != 1 and seen.size and not candidates.are_logits:
            raise SettingsError(
                _(
                    "A repetition penalty divides logits, and this engine returned log-probabilities; set"
                    ' repetition_penalty to 1, or start vLLM with logprobs_mode="raw_logits".'
                )
            )
        row[seen] = np.where(row[seen] > 0, row[seen] / self.repetition, row[seen] * self.repetition)
        counted, counts = np.unique(self.counted, return_counts=True)
        inside = (counted >= 0) & (counted < candidates.vocabulary)
        share = counts / len(self.counted) if self.relative else counts
        row[counted[inside].astype(np.intp)] -= self.frequency * share[inside] + self.presence
        return candidates.with_logits(row[candidates.ids])

    @property
    def setting(self) -> str:
        """Those that are on."""
        values = {
            "repetition_penalty": (self.repetition, 1),
            "presence_penalty": (self.presence, 0),
            "frequency_penalty": (self.frequency, 0),
        }
        on = [f"{name}={value:g}" for name, (value, off) in values.items() if value != off]
        return ", ".join(on) or self.name

    @property
    def rule(self) -> str:
        """What it does, and on how many tokens."""
        return _("Lowers the logits of earlier tokens: {repeated} by the factor, {counted} by count.").format(
            repeated=len(set(self.repeated)), counted=len(set(self.counted))
        )


def _inside(ids: np.ndarray, vocabulary: int) -> Indices:
    return ids[(ids >= 0) & (ids < vocabulary)].astype(np.intp)


@dataclass(frozen=True)
class NoRepeatNgram(CertainStage):
    """Forbids each token that would end an n-gram seen before; transformers only (NoRepeatNGramLogitsProcessor, 5.19).

    Args:
        size: tokens in an n-gram; 0 is off.
        tokens: ids of prompt and output so far.
    """

    size: int
    tokens: tuple[int, ...] = field(default=(), repr=False)
    name = "no_repeat_ngram_size"

    @property
    def is_on(self) -> bool:
        """Off at 0, and while no whole n-gram is there."""
        return 0 < self.size <= len(self.tokens)

    def act(self, candidates: Candidates) -> Candidates:
        """Drop what would complete an n-gram again."""
        start = len(self.tokens) - self.size + 1
        prefix = self.tokens[start:]
        banned = [self.tokens[i + self.size - 1] for i in range(start) if self.tokens[i : i + self.size - 1] == prefix]
        return candidates.keep(~np.isin(candidates.ids, banned))

    @property
    def setting(self) -> str:
        """Its size."""
        return f"{self.name}={self.size}"

    @property
    def rule(self) -> str:
        """What it does."""
        return _("Forbids every token that would repeat a run of {size} tokens.").format(size=self.size)
