"""What one gateway serves and how much of it: TGI's limits, by TGI's names, and where the engine is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Limits:
    """TGI's limits of a request; counts, tokens or bytes.

    Args:
        max_total_tokens: of prompt and answer together.
        max_input_tokens: of the prompt, after ``truncate``.
        max_batch_total_tokens: of all requests that run at once; the engine's KV cache.
        max_batch_size: requests that run at once; the engine's slots.
        max_concurrent_requests: requests running and waiting; one more is answered 429.
        payload_limit: bytes of a body; one more is answered 413.
    """

    max_total_tokens: int
    max_input_tokens: int
    max_batch_total_tokens: int
    max_batch_size: int = 4
    max_concurrent_requests: int = 128
    max_best_of: int = 2
    max_stop_sequences: int = 4
    max_top_n_tokens: int = 5
    max_client_batch_size: int = 4
    payload_limit: int = 2_000_000

    def __post_init__(self) -> None:
        """Refuse limits under which a request could wait for ever, in the words of TGI's launcher where it has some.

        Raises:
            ValueError: which limit, and what it must be.
        """
        prompt, total, batch = self.max_input_tokens, self.max_total_tokens, self.max_batch_total_tokens
        if not 0 < prompt < total:
            raise ValueError(f"`max_input_tokens`({prompt}) must be > 0 and < `max_total_tokens`({total})")
        if total > batch:
            raise ValueError(f"`max_total_tokens` must be <= `max_batch_total_tokens`. Given: {total} and {batch}")
        for name in ("max_batch_size", "max_concurrent_requests", "max_best_of", "max_client_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be > 0. Given: {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Backend:
    """The llama.cpp server behind the gateway."""

    url: str
    key: str = field(repr=False)
    version: str
