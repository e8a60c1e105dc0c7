"""TGI: its own ``/generate``, and OpenAI's chat route, with what this course's gateway does otherwise.

TGI refuses an off value where others take it (``top_p=1``, a temperature of 0), so off is said by leaving it out.
Unknown names are ignored without a word. Read in TGI 3.3.7 (router/src/lib.rs, validation.rs, server.rs,
server/utils/tokens.py); run against the gateway.
"""

from __future__ import annotations

from typing import Any

from courselib.controls.catalogue import CONTROLS
from courselib.controls.controls import Controls
from courselib.controls.route import Combination, Route, Spelling, Verdict, differs, ignored, missing, sent
from courselib.i18n import N_

SOURCE = "TGI 3.3.7"
ENGINES = ("tgi", "tgi-gateway")
NO_DRY = N_("nearest is repetition_penalty, which looks at single tokens and not at runs")
NO_NGRAM = N_("TGI has none; nearest is repetition_penalty")
BELOW_ONE = N_("a number above 0 and below 1")
REST = N_("the rest of the context")
BY_CHANCE = N_("another one for each request")
NONE = N_("none")
KEPT = N_("the stop text is kept at the answer's end, and only found where a token ends with it")
RELATIVE = N_("TGI takes it times the token's share of all tokens so far; the gateway, times its count")
GREEDY = N_("the most likely token is taken, unless a control asks for randomness")
ZERO = N_("0 is sent by leaving out all controls that make the draw random")
MOST_STOPS, MOST_LIKELIEST = 4, 5


def _below_one(value: float) -> bool:
    return value < 1


def _few(value: Any) -> bool:
    return len(value) <= MOST_STOPS


def _repetition(value: float) -> bool:
    return value > -2


def _likeliest(count: int) -> dict[str, Any]:
    return {"details": True, **({"top_n_tokens": count} if count else {})}


def _chat_logprobs(count: int) -> dict[str, Any]:
    return {"logprobs": True, **({"top_logprobs": count} if count else {})}


def _some(count: int) -> bool:
    return count <= MOST_LIKELIEST


GENERATE: dict[str, Spelling] = {
    "temperature": sent("temperature", GREEDY, ZERO),
    "top_k": sent("top_k", NONE, off_is_absent=True),
    "top_p": sent("top_p", NONE, off_is_absent=True, accepts=_below_one, interval=BELOW_ONE),
    "min_p": missing(N_("nearest is top_p")),
    "typical_p": sent("typical_p", NONE, off_is_absent=True, accepts=_below_one, interval=BELOW_ONE),
    "repetition_penalty": sent("repetition_penalty", 1.0, N_("the prompt's tokens count, too")),
    "presence_penalty": missing(N_("nearest is repetition_penalty")),
    "frequency_penalty": differs("frequency_penalty", RELATIVE, 0.0),
    "no_repeat_ngram_size": missing(NO_NGRAM),
    "dry_multiplier": missing(NO_DRY),
    "dry_base": missing(NO_DRY),
    "dry_allowed_length": missing(NO_DRY),
    "max_tokens": sent("max_new_tokens", REST),
    "min_tokens": missing(N_("TGI has no minimum length")),
    "stop": differs("stop", KEPT, (), off_is_absent=True, accepts=_few, interval=N_("4 texts at most")),
    "ignore_eos": missing(N_("TGI always ends there")),
    "skip_special_tokens": missing(N_("they are left out of the text, and listed among the details' tokens")),
    "seed": sent("seed", BY_CHANCE),
    "logit_bias": missing(N_("TGI has none")),
    "logprobs": sent(_likeliest, NONE, accepts=_some, interval=N_("5 at most (max_top_n_tokens)")),
    "n": missing(N_("nearest is best_of, which returns the most likely of several answers")),
}
CHAT: dict[str, Spelling] = {
    **GENERATE,
    "temperature": sent("temperature", 1.0),
    "top_k": missing(N_("TGI has it on /generate")),
    "min_p": missing(N_("nearest is top_p")),
    "typical_p": missing(N_("TGI has it on /generate")),
    "repetition_penalty": missing(N_("TGI has it on /generate, and makes one of presence_penalty here")),
    "presence_penalty": differs(
        "presence_penalty",
        N_("TGI uses it plus 2 as repetition_penalty"),
        NONE,
        off_is_absent=True,
        accepts=_repetition,
        interval=N_("a number above -2"),
    ),
    "max_tokens": sent("max_tokens", REST),
    "logit_bias": missing(N_("TGI refuses OpenAI's form of it and ignores its own")),
    "logprobs": sent(_chat_logprobs, NONE, accepts=_some, interval=N_("5 at most (max_top_n_tokens)")),
    "n": ignored(N_("it makes one answer")),
}


def combine_generate(controls: Controls) -> Combination:
    """A temperature of 0 is refused: greedy is what comes without any control that asks for chance."""
    if controls.temperature is None:
        return Combination()
    if controls.temperature > 0:
        return Combination(arguments={"do_sample": True})
    greedy = (Verdict.OFF, N_("a temperature of 0 is sent by leaving out all controls that make the draw random"))
    off = {name: CONTROLS[name].off for name in ("top_k", "top_p", "typical_p")}
    return Combination(dict.fromkeys(("temperature", *off, "seed"), greedy), applies={"temperature": 0.0, **off})


ROUTES = (
    Route(
        "TGI /generate", "TGI", ENGINES, "prompt", GENERATE, SOURCE, "/generate", "parameters", combine=combine_generate
    ),
    Route("TGI chat", "TGI", ENGINES, "messages", CHAT, SOURCE, "/v1/chat/completions"),
)
