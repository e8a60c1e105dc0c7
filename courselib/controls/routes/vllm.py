"""vLLM: OpenAI's routes of its server, and ``SamplingParams`` of its library.

What OpenAI's API does not have goes into ``extra_body`` of a client. Unknown names are ignored by the server without a
word, and are a ``TypeError`` of ``SamplingParams``. Read off vLLM 0.32.0.
"""

from __future__ import annotations

from typing import Any

from courselib.controls.controls import Controls
from courselib.controls.route import Combination, Route, Spelling, Verdict, missing, sent
from courselib.i18n import N_

SOURCE = "vLLM 0.32.0"
OUTPUT = N_("only generated tokens count, never the prompt's")
NO_DRY = N_("nearest is repetition_penalty, which looks at single tokens and not at runs")
COLDEST = 0.01
REST = N_("the rest of the context")
ENGINE_SEED = N_("drawn from the engine's own seed, 0 unless started with another")
NONE = N_("none")
HTTP_STOPS, HTTP_LOGPROBS = 4, 20


def _chat_logprobs(count: int) -> dict[str, Any]:
    return {"logprobs": True, "top_logprobs": count}


def _raise_cold(value: float) -> float:
    return max(value, COLDEST) if value else value


LIBRARY: dict[str, Spelling] = {
    "temperature": sent("temperature", 1.0, clamp=_raise_cold),
    "top_k": sent("top_k", 0, N_("keeps all tokens that tie with the last one kept")),
    "top_p": sent("top_p", 1.0),
    "min_p": sent("min_p", 0.0),
    "typical_p": missing(N_("nearest is min_p")),
    "repetition_penalty": sent("repetition_penalty", 1.0, N_("the prompt's tokens count, too")),
    "presence_penalty": sent("presence_penalty", 0.0, OUTPUT),
    "frequency_penalty": sent("frequency_penalty", 0.0, OUTPUT),
    "no_repeat_ngram_size": missing(N_("nearest is repetition_detection, which ends the answer instead")),
    "dry_multiplier": missing(NO_DRY),
    "dry_base": missing(NO_DRY),
    "dry_allowed_length": missing(NO_DRY),
    "max_tokens": sent("max_tokens", 16),
    "min_tokens": sent("min_tokens", 0),
    "stop": sent("stop", ()),
    "ignore_eos": sent("ignore_eos", False),
    "skip_special_tokens": sent("skip_special_tokens", True, N_("the token that ends the answer is never in the text")),
    "seed": sent("seed", ENGINE_SEED),
    "logit_bias": sent("logit_bias", NONE),
    "logprobs": sent(
        "logprobs", NONE, accepts=lambda count: count <= HTTP_LOGPROBS, interval=N_("20 at most (max_logprobs)")
    ),
    "n": sent("n", 1, N_("only 1 where the temperature is 0")),
}
COMPLETIONS = {
    **LIBRARY,
    "stop": sent("stop", (), accepts=lambda stops: len(stops) <= HTTP_STOPS, interval=N_("4 texts at most")),
}
CHAT = {
    **COMPLETIONS,
    "max_tokens": sent("max_tokens", REST),
    "logprobs": sent(
        _chat_logprobs, NONE, accepts=lambda count: count <= HTTP_LOGPROBS, interval=N_("20 at most (max_logprobs)")
    ),
}


def combine(controls: Controls) -> Combination:
    """Several answers to one prompt would be the same where nothing is drawn by chance, so vLLM refuses them."""
    if controls.temperature == 0 and controls.n and controls.n > 1:
        return Combination(unsent={"n": (Verdict.REFUSED, N_("with a temperature of 0 this route takes only n=1"))})
    return Combination()


ROUTES = (
    Route("vLLM chat", "vLLM", ("vllm",), "messages", CHAT, SOURCE, "/v1/chat/completions", combine=combine),
    Route("vLLM completions", "vLLM", ("vllm",), "prompt", COMPLETIONS, SOURCE, "/v1/completions", combine=combine),
    Route("vLLM SamplingParams", "vLLM", ("vllm",), "prompt", LIBRARY, SOURCE, combine=combine),
)
