"""Answers to the exercises on choosing settings, with what an engine did with them."""

from __future__ import annotations

from math import log

from tests.exercises.cases import Case


def asked(tokens, **settings):
    return lambda _question: {"settings": settings, "tokens": tokens}


def planned(mib=190, *, kinds=None, context=4096, **settings):
    """Settings as a learner may return them; the memory that they would need is given."""

    def answer(budget, _tokens):
        kind = kinds or ("f16" if budget > 280 else "q8_0" if budget > 225 else "q5_1")
        return {"settings": {"context": context, "parallel": 2, "cache_type_k": kind} | settings, "mib": mib}

    return answer


def poem(pairs=0.95, probability=0.3, **settings):
    """A text of forty words with about so many different pairs, and tokens of this probability."""
    different = round(40 * pairs)
    text = " ".join([*map(str, range(different)), *["again"] * (40 - different)])
    return lambda _topic: {"settings": settings, "text": text, "logprobs": [log(probability)] * 64}


CASES = {
    "never_short": Case(
        asked(12, logit_bias=[[2, False]], n_predict=12),
        (
            (asked(3), "a limit is no minimum"),
            (asked(3, min_tokens=10), "does not know min_tokens"),
            (asked(5, n_predict=5), "Your own limit"),
            (asked(300, ignore_eos=True, n_predict=300), "more than forty"),
        ),
    ),
    "two_users": Case(
        planned(kv_unified=True, parallel=3),
        (
            (lambda _budget, _tokens: {"settings": None, "mib": None}, "must be a dictionary"),
            (planned(parallel=1), "has to wait"),
            (planned(context=2048), "less than it needs"),
            (planned(mib=400), "more than the budget"),
            (planned(kinds="f16"), "whatever memory was given"),
            (planned(kinds="q4_0"), "number format of the keys"),
            (planned(kinds="f16", cache_type_v="q4_0"), "number format of the values"),
        ),
    ),
    "varied_poem": Case(
        poem(frequency_penalty=1.0),
        (
            (lambda _topic: {"settings": None, "text": "", "logprobs": [0.0]}, "must be a dictionary"),
            (poem(0.3, repetition_penalty=1.1), "does not know repetition_penalty"),
            (poem(0.5, presence_penalty=1.0), "no more than the first"),
            (poem(0.5), "below 0.85"),
            (poem(0.97, 0.05, temperature=1.5), "makes the draws random"),
            (poem(0.97, 0.1, repeat_penalty=2.0), "too high a price"),
        ),
    ),
}
