"""One generation inside the gateway: what is asked of llama.cpp, its tokens as they come, and what it took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from courselib.gateway.generation import Generation, Token
from courselib.gateway.validation import Sampling


@dataclass
class Answer:
    """One generation and what it took: times in seconds, ``seed`` None where it was greedy."""

    generation: Generation
    seed: int | None
    input_length: int
    validation_s: float = 0.0
    queue_s: float = 0.0
    inference_s: float = 0.0
    total_s: float = 0.0

    @property
    def generated_tokens(self) -> int:
        """Tokens generated, the one that ended it included."""
        return len(self.generation.tokens)

    @property
    def mean_logprob(self) -> float:
        """By which the best of several answers is chosen."""
        known = [token.logprob for token in self.generation.tokens if token.logprob is not None]
        return sum(known) / len(known) if known else float("-inf")


@dataclass
class Event:
    """A token of a running answer; ``answer`` is filled in as it goes on."""

    token: Token
    answer: Answer


@dataclass(frozen=True)
class Plan:
    """A request that has passed: the prompt's tokens, how many may come, how they are chosen, the grammar."""

    prompt: list[int]
    most: int
    sampling: Sampling
    seed: int | None
    schema: dict[str, Any] | None
