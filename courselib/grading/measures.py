"""Settings that a learner chose, measured outside: what a notebook measures for the learner, a grader measures itself.

In the learner's process, the measurement could be replaced by the answer that is wished for.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from courselib.errors import SettingsError
from courselib.i18n import _

if TYPE_CHECKING:
    from courselib.engines.server import Server

ANSWER_S = 60.0
# Settings of ``/completion`` that a learner may choose, and names that other engines have for them. Not among them is
# what could cost the engine its memory or its time: grammars, alternatives of each token, several answers.
_SENT = frozenset(
    """
    temperature top_k top_p min_p typical_p samplers seed do_sample cache_prompt
    repeat_penalty repeat_last_n repetition_penalty presence_penalty frequency_penalty penalize_nl
    dry_multiplier dry_base dry_allowed_length dry_penalty_last_n xtc_probability xtc_threshold
    mirostat mirostat_tau mirostat_eta dynatemp_range dynatemp_exponent
    n_keep n_predict max_tokens max_new_tokens min_tokens min_new_tokens min_length t_max_predict_ms
    stop ignore_eos eos_token_id logit_bias
    """.split()  # noqa: SIM905 - a table is read more easily
)
MOST_CHARACTERS = 10_000


@dataclass(frozen=True)
class Measure:
    """How the settings of one exercise are measured.

    Args:
        function: the learner's, which returns settings.
        arguments: of its call, from the arguments of the judge's call.
        value: what the judge looks at, from the settings, the judge's call, and the engine where there is one.
        engine: settings of the engine that is asked; none where none is.
    """

    function: str
    arguments: Callable[..., list[Any]]
    value: Callable[..., Any]
    engine: dict[str, Any] | None = None


def _needed(settings: Any, _server: Server | None, _budget: int, _tokens: int) -> dict[str, Any]:
    from courselib import memory

    _check(settings, ())
    estimate = memory.llamacpp.estimate(_model(), **settings)
    return {"settings": settings, "mib": estimate.known / memory.MIB}


@functools.cache
def _model() -> Any:
    from courselib import memory, models

    return memory.from_gguf(models.gguf_header(models.resolve("smollm2-135m")))


def _answered(settings: Any, server: Server, question: str) -> dict[str, Any]:
    _check(settings, _SENT)
    turn = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    body = {"n_predict": 40, "temperature": 0, **settings, "prompt": turn, "stream": False}
    answer = server.http.post("/completion", json=body, timeout=ANSWER_S).json()
    return {"settings": settings, "tokens": answer["tokens_predicted"]}


def _written(settings: Any, server: Server, topic: str) -> dict[str, Any]:
    _check(settings, _SENT)
    turn = f"<|im_start|>user\nWrite a poem about {topic}.<|im_end|>\n<|im_start|>assistant\n"
    fixed = {"prompt": turn, "n_predict": 64, "ignore_eos": True, "n_probs": 1, "cache_prompt": False, "stream": False}
    answer = server.http.post("/completion", json={"temperature": 0, **settings, **fixed}, timeout=ANSWER_S).json()
    logprobs = [step["logprob"] for step in answer["completion_probabilities"]]
    return {"settings": settings, "text": answer["content"], "logprobs": logprobs}


def _check(settings: Any, names: Collection[str]) -> None:
    """Refuse settings that are no settings.

    Raises:
        SettingsError: they are too long, have a number that is none, or a name that is not in ``names`` (none: any).
    """
    if not isinstance(settings, dict):
        raise SettingsError(_("Your settings must be a dictionary."))
    if unknown := sorted(set(settings) - set(names)) if names else []:
        text = _("The setting {name!r} is none that is sent when answers are graded; choose others.")
        raise SettingsError(text.format(name=unknown[0][:100]))
    try:
        size = len(json.dumps(settings, allow_nan=False))
    except ValueError as error:
        raise SettingsError(_("A setting is infinite, or not a number at all.")) from error
    if size > MOST_CHARACTERS:
        raise SettingsError(_("Your settings are too long: {n} characters.").format(n=size))


def _all(*call: Any) -> list[Any]:
    return list(call)


def _none(*_call: Any) -> list[Any]:
    return []


# By the judge's name.
MEASURES = {
    "two_users": Measure("settings", _all, _needed),
    "never_short": Measure("settings", _none, _answered, engine={"context": 512}),
    "varied_poem": Measure("settings", _none, _written, engine={"context": 512}),
}
