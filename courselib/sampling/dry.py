"""DRY ("don't repeat yourself"): a penalty for tokens that would lengthen a run of tokens seen before; llama.cpp only.

Source: llama_sampler_dry_apply in llama.cpp 0c1e57098, which ports Koboldcpp's; here with the same results, computed
plainly, since the window is short.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from courselib.i18n import _
from courselib.sampling.candidates import Candidates
from courselib.sampling.stages import CertainStage, check_number

# llama.cpp's own: what starts anew after these is no repetition.
BREAKERS = ("\n", ":", '"', "*")
# The greatest exponent whose power still is a float32.
LOG_OF_GREATEST = 88.7228391


@dataclass(frozen=True)
class Dry(CertainStage):
    """Lowers logits by ``multiplier * base ** (run - allowed_length)``.

    ``run`` is the longest ending of the context that a token has followed before, and a token pays from
    ``allowed_length`` on. A run does not reach back beyond the last breaker.

    Args:
        multiplier: in logits; 0 is off.
        base: 1 or more.
        allowed_length: in tokens.
        context: ids of the last tokens of prompt and output, at most llama.cpp's ``dry_penalty_last_n``.
        breakers: sequences of token ids at which runs end, mostly of one.
    """

    multiplier: float
    base: float = 1.75
    allowed_length: int = 2
    context: tuple[int, ...] = field(default=(), repr=False)
    breakers: tuple[tuple[int, ...], ...] = field(default=(), repr=False)
    name = "dry"

    def __post_init__(self) -> None:
        check_number("dry_multiplier", self.multiplier, 0)
        check_number("dry_base", self.base, 1)
        check_number("dry_allowed_length", self.allowed_length, 0)

    @property
    def is_on(self) -> bool:
        """Off without a multiplier, and while the context is too short to repeat itself."""
        return self.multiplier > 0 and len(self.context) > self.allowed_length

    def act(self, candidates: Candidates) -> Candidates:
        """Lower the logits of tokens that would lengthen a run."""
        most = int(LOG_OF_GREATEST / math.log(self.base)) if self.base > 1.000001 else 0
        logits = candidates.logits.copy()
        for token, run in self.runs().items():
            exponent = run - self.allowed_length
            exponent = min(exponent, most) if most else exponent
            logits[candidates.ids == token] -= self.multiplier * self.base**exponent
        return candidates.with_logits(logits)

    def runs(self) -> dict[int, int]:
        """For each token that would lengthen a run of ``allowed_length`` or more: how long the longest is."""
        context, size = self.context, len(self.context)
        limit = self._limit()
        if limit < self.allowed_length:
            return {}
        alone = {breaker[0] for breaker in self.breakers if len(breaker) == 1}
        longest: dict[int, int] = {}
        for end in range(1, size):
            run = 0
            while run < min(limit, end) and context[end - 1 - run] == context[size - 1 - run]:
                run += 1
            if run >= self.allowed_length and context[end] not in alone:
                longest[context[end]] = max(run, longest.get(context[end], 0))
        return longest

    def _limit(self) -> int:
        """Tokens since the last breaker."""
        context, size = self.context, len(self.context)
        for back in range(size):
            start = size - 1 - back
            found = [
                len(breaker) - 1
                for breaker in self.breakers
                if len(breaker) <= back + 1 and context[start : start + len(breaker)] == breaker
            ]
            if found:
                return back - max(found)
        return size

    @property
    def setting(self) -> str:
        """Its values."""
        return f"dry_multiplier={self.multiplier:g}, dry_base={self.base:g}, dry_allowed_length={self.allowed_length}"

    @property
    def rule(self) -> str:
        """What it does."""
        return _("Lowers the logits of tokens that would lengthen a run of {n} or more tokens seen before.").format(
            n=self.allowed_length
        )


def breakers_within(pieces: Sequence[bytes], texts: Iterable[str] = BREAKERS) -> tuple[tuple[int, ...], ...]:
    """The tokens that hold one of the texts, as llama.cpp finds them for breakers of one byte each.

    Args:
        pieces: each token's bytes, special tokens as their text, in the order of their ids.
        texts: breakers of one byte; longer ones may span tokens, which only the tokenizer can tell.
    """
    wanted = [text.encode() for text in texts]
    return tuple((token,) for token, piece in enumerate(pieces) if any(text in piece for text in wanted))
