"""A request of TGI's as the body of llama-server's ``/completion``.

llama.cpp's own defaults differ from TGI's (temperature 0.8, top_k 40, top_p 0.95, min_p 0.05, the last 64 tokens for
penalties), and so does its order, which ends with the temperature. So everything is sent: TGI's order, and off where
TGI has it off. Stop strings are not sent: TGI looks for them after each whole token, llama.cpp within tokens, so the
gateway looks itself.
"""

from __future__ import annotations

from typing import Any

from courselib.gateway.validation import Sampling

# TGI: repetition penalty, frequency penalty, temperature, top_k, top_p, typical_p (server/utils/tokens.py).
SAMPLERS = ["penalties", "temperature", "top_k", "top_p", "typ_p"]
# What llama.cpp has besides and TGI has not.
OFF = {
    "min_p": 0.0, "presence_penalty": 0.0, "dry_multiplier": 0.0, "xtc_probability": 0.0, "top_n_sigma": -1.0,
    "mirostat": 0, "dynatemp_range": 0.0,
}  # fmt: skip
# llama.cpp's seeds have 32 bits, and the highest stands for chance.
SEEDS = 2**32 - 1


def completion_body(
    prompt: list[int],
    sampling: Sampling,
    *,
    new_tokens: int,
    seed: int | None,
    top_n: int,
    context: int,
    schema: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The body for llama-server.

    Args:
        prompt: the prompt's tokens.
        sampling: how to choose.
        new_tokens: how many at most.
        seed: TGI's, of 64 bits; None where nothing is drawn by chance.
        top_n: how many of the most likely tokens to tell.
        context: tokens that penalties look back on; TGI's look at all.
        schema: the JSON schema to keep to.
    """
    body: dict[str, Any] = {
        **OFF,
        "prompt": prompt,
        "n_predict": new_tokens,
        "temperature": sampling.temperature if sampling.sampled else 0.0,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "typical_p": sampling.typical_p,
        "repeat_penalty": sampling.repetition_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "repeat_last_n": context,
        "samplers": SAMPLERS,
        # After the samplers, as TGI tells it; but greedily all would be certain, so the model's own is asked for.
        "post_sampling_probs": sampling.sampled,
        "n_probs": max(top_n, 1),
        "return_tokens": True,
        "cache_prompt": True,
        "stream": True,
    }
    if seed is not None:
        body["seed"] = seed % SEEDS
    if schema is not None:
        body["json_schema"] = schema
    return body


def tells_logprob(sampling: Sampling) -> bool:
    """Whether llama.cpp tells the probability TGI would: not of a greedy choice after penalties."""
    return sampling.sampled or (sampling.repetition_penalty == 1 and sampling.frequency_penalty == 0)
