"""llama.cpp's server: its own route, and OpenAI's.

All read the same fields, so one table serves; the routes differ in the names for length and log-probabilities.
Unknown names are ignored without a word, another engine's name for a control among them.
Read off llama.cpp b11549 (xllamacpp 2026.10.11549): its answers, their ``generation_settings``, and ``/props``.
"""

from __future__ import annotations

from typing import Any

from courselib.controls.route import Route, Spelling, differs, missing, sent
from courselib.i18n import N_

SOURCE = "llama.cpp b11549"
WINDOW = N_("only the last 64 tokens count, the prompt's among them")
UNTIL_FULL = N_("until the model ends or the context is full")
BY_CHANCE = N_("another one for each request")
NONE = N_("none")


def _bias_pairs(biases: dict[int, float]) -> dict[str, Any]:
    return {"logit_bias": [[token, bias] for token, bias in biases.items()]}


# Zero is off on all three; the token chosen comes with those of one.
def _chat_logprobs(count: int) -> dict[str, Any]:
    return {"logprobs": True, "top_logprobs": max(count, 1)}


def _completions_logprobs(count: int) -> dict[str, Any]:
    return {"logprobs": max(count, 1)}


def _likeliest(count: int) -> dict[str, Any]:
    return {"n_probs": max(count, 1)}


COMPLETION: dict[str, Spelling] = {
    "temperature": sent("temperature", 0.8),
    "top_k": sent("top_k", 40),
    "top_p": sent("top_p", 0.95),
    "min_p": sent("min_p", 0.05),
    "typical_p": sent("typical_p", 1.0),
    "repetition_penalty": differs("repeat_penalty", WINDOW, 1.0),
    "presence_penalty": differs("presence_penalty", WINDOW, 0.0),
    "frequency_penalty": differs("frequency_penalty", WINDOW, 0.0),
    "no_repeat_ngram_size": missing(N_("nearest is DRY: dry_multiplier, with dry_allowed_length")),
    "dry_multiplier": sent("dry_multiplier", 0.0),
    "dry_base": sent("dry_base", 1.75),
    "dry_allowed_length": sent("dry_allowed_length", 2),
    "max_tokens": sent("n_predict", UNTIL_FULL),
    "min_tokens": missing(N_("nearest is a logit_bias of -100 on each end token")),
    "stop": sent("stop", ()),
    "ignore_eos": sent("ignore_eos", False),
    "skip_special_tokens": missing(N_("special tokens are left out, unless the server was started with --special")),
    "seed": sent("seed", BY_CHANCE),
    "logit_bias": sent(_bias_pairs, NONE),
    "logprobs": sent(_likeliest, NONE),
    "n": sent("n_cmpl", 1, N_("refused above the number of slots (--parallel)")),
}
CHAT = {
    **COMPLETION,
    "max_tokens": sent("max_tokens", UNTIL_FULL),
    "logit_bias": sent("logit_bias", NONE),
    "logprobs": sent(_chat_logprobs, NONE),
    "n": sent("n", 1, N_("refused above the number of slots (--parallel)")),
}
COMPLETIONS = {**CHAT, "logprobs": sent(_completions_logprobs, NONE)}

ROUTES = (
    Route("llama.cpp chat", "llama.cpp", ("llama.cpp",), "messages", CHAT, SOURCE, "/v1/chat/completions"),
    Route("llama.cpp completions", "llama.cpp", ("llama.cpp",), "prompt", COMPLETIONS, SOURCE, "/v1/completions"),
    Route("llama.cpp /completion", "llama.cpp", ("llama.cpp",), "prompt", COMPLETION, SOURCE, "/completion"),
)
