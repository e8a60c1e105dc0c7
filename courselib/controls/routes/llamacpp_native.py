"""llama.cpp as a library: ``llama_cpp.Llama``, called for a text, and for a chat, whose defaults differ.

Names it does not know are a ``TypeError``. Penalties count generated tokens alone, since only these pass its sampler.
Read off llama-cpp-python 0.3.36.
"""

from __future__ import annotations

from typing import Any

from courselib.controls.route import Route, Spelling, differs, missing, sent
from courselib.controls.routes.llamacpp import BY_CHANCE, NONE, UNTIL_FULL
from courselib.i18n import N_

SOURCE = "llama-cpp-python 0.3.36"
WINDOW = N_("only the last 64 generated tokens count, never the prompt's")
NO_DRY = N_("only llama.cpp's server has DRY")


def _chat_logprobs(count: int) -> dict[str, Any]:
    return {"logprobs": True, "top_logprobs": count}


CALL: dict[str, Spelling] = {
    "temperature": sent("temperature", 0.8),
    "top_k": sent("top_k", 40),
    "top_p": sent("top_p", 0.95),
    "min_p": sent("min_p", 0.05),
    "typical_p": sent("typical_p", 1.0),
    "repetition_penalty": differs("repeat_penalty", WINDOW, 1.0),
    "presence_penalty": differs("presence_penalty", WINDOW, 0.0),
    "frequency_penalty": differs("frequency_penalty", WINDOW, 0.0),
    "no_repeat_ngram_size": missing(N_("nearest is a logits_processor of your own")),
    "dry_multiplier": missing(NO_DRY),
    "dry_base": missing(NO_DRY),
    "dry_allowed_length": missing(NO_DRY),
    "max_tokens": sent("max_tokens", 16),
    "min_tokens": missing(N_("nearest is logits_processor with MinTokensLogitsProcessor")),
    "stop": sent("stop", ()),
    "ignore_eos": missing(N_("nearest is a logit_bias of -100 on each end token")),
    "skip_special_tokens": missing(N_("special tokens are left out")),
    "seed": sent("seed", BY_CHANCE),
    "logit_bias": sent("logit_bias", NONE),
    "logprobs": sent("logprobs", NONE, N_("needs a Llama opened with logits_all=True")),
    "n": missing(N_("call it again, with another seed")),
}
CHAT = {
    **CALL,
    "temperature": sent("temperature", 0.2),
    "max_tokens": sent("max_tokens", UNTIL_FULL),
    "logprobs": sent(_chat_logprobs, NONE, N_("needs a Llama opened with logits_all=True")),
}

ROUTES = (
    Route("llama_cpp.Llama", "llama_cpp", ("llama.cpp",), "prompt", CALL, SOURCE),
    Route("llama_cpp.Llama chat", "llama_cpp", ("llama.cpp",), "messages", CHAT, SOURCE),
)
