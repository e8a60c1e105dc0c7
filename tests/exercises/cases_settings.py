"""Answers to the exercises on choosing settings, with what an engine did with them."""

from __future__ import annotations

from tests.exercises.cases import Case


def asked(tokens, **settings):
    return lambda _question: {"settings": settings, "tokens": tokens}


def planned(mib=190, *, kinds=None, context=4096, **settings):
    """Settings as a learner may return them; the memory that they would need is given."""

    def answer(budget, _tokens):
        kind = kinds or ("f16" if budget > 280 else "q8_0" if budget > 225 else "q5_1")
        return {"settings": {"context": context, "parallel": 2, "cache_type_k": kind} | settings, "mib": mib}

    return answer


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
}
