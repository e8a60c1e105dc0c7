"""Controls that a route has not: sent all the same, they change nothing, or a library refuses them.

They are sent under vLLM's name, with a value that shows at once where there is such a control.
"""

import pytest

from tests.controls.asking import CHANCE, DRY, FIRST, LENGTH, LIMIT, OPEN, REPEATED, SHORT, SPECIAL, likeliest
from tests.controls.live import Refused

# Of each: a message, the controls beside, and the value sent.
EXTREME = {
    "top_k": (OPEN, {**CHANCE, "seed": 1}, 1),
    "min_p": (OPEN, {**CHANCE, "seed": 1}, 1.0),
    "typical_p": (OPEN, {**CHANCE, "seed": 1}, 0.001),
    "repetition_penalty": (REPEATED, {"temperature": 0}, 100.0),
    "presence_penalty": (REPEATED, {"temperature": 0}, 2.0),
    "no_repeat_ngram_size": (REPEATED, {"temperature": 0}, 1),
    **{
        name: (REPEATED, {"temperature": 0}, DRY[name]) for name in ("dry_multiplier", "dry_base", "dry_allowed_length")
    },
    "min_tokens": (SHORT, {"temperature": 0}, LIMIT),
    "ignore_eos": (SHORT, {"temperature": 0}, True),
    "skip_special_tokens": (SHORT, {"temperature": 0, "logit_bias": {SPECIAL: 100.0}}, False),
    "logit_bias": (SHORT, {"temperature": 0}, {SPECIAL: 100.0}),
    "n": (OPEN, {**CHANCE, "seed": 1}, 2),
}


def lost(live, name):
    """A control that the route has not: sent all the same, it changes nothing."""
    message, beside, value = EXTREME[name]
    asked = {**beside, "max_tokens": {OPEN: LENGTH, SHORT: LIMIT, REPEATED: 2}[message]}
    raw = DRY if name in DRY else {name: value}
    if not live.route.path:
        with pytest.raises(Refused, match=f"TypeError: .*[uU]nexpected keyword argument '?{name}"):
            live.ask(message, raw={name: value}, **asked)
        return
    if live.route.name == "TGI chat" and name == "logit_bias":
        with pytest.raises(Refused, match="422"):
            live.ask(message, raw=raw, **asked)
        raw = {name: [100.0] * 8}
    # The first fills the prompt's cache: computed anew, logits differ in their last digits.
    _first, plain = (live.ask(message, **asked) for _time in range(2))
    _could_show(live, name, plain)
    assert live.ask(message, raw=raw, **asked).result == plain.result


def _could_show(live, name, plain):
    """An engine that had the control would have to answer otherwise."""
    if EXTREME[name][0] == OPEN:
        assert plain.text != likeliest(live)
    elif EXTREME[name][0] == REPEATED:
        assert plain.text.startswith(FIRST), "this token was there before"
    elif name == "skip_special_tokens" and live.route.engine == "llama.cpp":
        assert (plain.text, plain.length) == ("", LIMIT), "all that came is special"
    else:
        assert 1 < plain.length < LIMIT, "it ends itself"
