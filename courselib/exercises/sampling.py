"""Exercises on the way from logits to a token."""

from __future__ import annotations

import math
from functools import partial
from random import Random
from typing import Any

from courselib.exercises.judge import Arguments, Exercise, Function, Mistake, Sampler
from courselib.i18n import N_

READ = N_("lesson 21, From logits to a token")
READ_PENALTIES = N_("lesson 23, Repetition: penalties")


def softmax(logits: list[float], temperature: float = 1.0) -> list[float]:
    """Probabilities of logits divided by a temperature above 0."""
    high = max(logits)
    powers = [math.exp((each - high) / temperature) for each in logits]
    return [each / sum(powers) for each in powers]


def _scaled(probabilities: list[float], power: float) -> list[float]:
    total = sum(probabilities)
    return [each * power / total for each in probabilities]


def _logits(source: Random, size: int) -> list[float]:
    return [round(source.uniform(-3, 3), 2) for _n in range(size)]


def _softmax_inputs(source: Random) -> list[Arguments]:
    drawn = [(_logits(source, 5), temperature) for temperature in (0.5, 0.8, 2.0)]
    return [([1.0, 2.0, 3.0], 0.5), *drawn, ([source.uniform(900, 1000), 1000.0, 990.0], 0.5)]


def _kept(probabilities: list[float], kept: set[int], *, renormalised: bool = True) -> list[float]:
    total = sum(probabilities[each] for each in kept) if renormalised else 1
    return [share / total if token in kept else 0.0 for token, share in enumerate(probabilities)]


def _ranked(probabilities: list[float]) -> list[int]:
    return sorted(range(len(probabilities)), key=lambda token: -probabilities[token])


def nucleus(probabilities: list[float], top_p: float, *, strict: bool = False, short: bool = False) -> set[int]:
    """The smallest set of tokens, the most likely first, that reaches ``top_p``."""
    kept: list[int] = []
    total = 0.0
    for token in _ranked(probabilities):
        if total > top_p if strict else total >= top_p:
            break
        kept.append(token)
        total += probabilities[token]
    return set(kept[:-1] if short and len(kept) > 1 else kept)


def top_p_filter(probabilities: list[float], top_p: float) -> list[float]:
    """The nucleus, renormalised."""
    return _kept(probabilities, nucleus(probabilities, top_p))


def _below(probabilities: list[float], top_p: float, *, empty: str = "") -> list[float]:
    """The nucleus without the token that reaches ``top_p``.

    Where that leaves no token, implementations keep one, return zeros (``empty="zeros"``), or divide by zero
    (``"fails"``).
    """
    kept: set[int] = set()
    total = 0.0
    for token in _ranked(probabilities):
        total += probabilities[token]
        if total > top_p:
            break
        kept.add(token)
    if not kept and empty == "fails":
        raise ZeroDivisionError
    if not kept and not empty:
        kept = {_ranked(probabilities)[0]}
    return _kept(probabilities, kept)


def _kept_with_equals(probabilities: list[float], top_p: float) -> list[float]:
    least = min(probabilities[token] for token in nucleus(probabilities, top_p))
    return _kept(probabilities, {token for token, share in enumerate(probabilities) if share >= least})


def _needed(shares: list[float], top_p: float) -> int:
    """How many values, in the order in which they stand, add up to ``top_p``."""
    return next(n for n in range(1, len(shares) + 1) if n == len(shares) or sum(shares[:n]) >= top_p)


def _eighths(source: Random) -> list[float]:
    """Probabilities whose sums are exact in binary, so that the boundary is one."""
    return source.choice([[0.5, 0.25, 0.125, 0.125], [0.125, 0.5, 0.125, 0.25], [0.25, 0.125, 0.5, 0.125]])


def _nucleus_inputs(source: Random) -> list[Arguments]:
    drawn = [(_eighths(source), top_p) for top_p in (0.75, 0.5, 0.6, 0.3, 1.0)]
    return [*drawn, ([0.25, 0.25, 0.25, 0.25], 0.5)]


def min_p_filter(probabilities: list[float], min_p: float) -> list[float]:
    """Tokens with at least ``min_p`` times the most likely one's probability, renormalised."""
    limit = min_p * max(probabilities)
    return _kept(probabilities, {token for token, share in enumerate(probabilities) if share >= limit})


def _min_p(limit: str) -> Any:
    def wrong(probabilities: list[float], min_p: float) -> list[float]:
        high = max(probabilities)
        least = min_p if limit == "absolute" else min_p * high
        kept = {
            token
            for token, share in enumerate(probabilities)
            if share == high or share > least or (share == least and limit != "strict")
        }
        return _kept(probabilities, kept, renormalised=limit != "unsummed")

    return wrong


def _min_p_inputs(source: Random) -> list[Arguments]:
    return [(_eighths(source), min_p) for min_p in (0.25, 0.5, 0.3, 0.9)]


def repetition(logits: list[float], tokens: list[int], penalty: float, window: int) -> list[float]:
    """Logits of the tokens among the last ``window`` divided by ``penalty``, or multiplied where negative."""
    seen = set(tokens[-window:]) if window else set()
    return [_penalised(each, penalty) if token in seen else each for token, each in enumerate(logits)]


def _penalised(logit: float, penalty: float) -> float:
    return logit / penalty if logit > 0 else logit * penalty


def _per_occurrence(logits: list[float], tokens: list[int], penalty: float, window: int) -> list[float]:
    result = list(logits)
    for token in tokens[-window:] if window else []:
        result[token] = _penalised(result[token], penalty)
    return result


def _always_divided(logits: list[float], tokens: list[int], penalty: float, window: int) -> list[float]:
    seen = set(tokens[-window:]) if window else set()
    return [each / penalty if token in seen else each for token, each in enumerate(logits)]


def _first_ones(logits: list[float], tokens: list[int], penalty: float, window: int) -> list[float]:
    return repetition(logits, tokens[:window], penalty, window)


def _penalty_inputs(source: Random) -> list[Arguments]:
    logits = [2.0, -1.0, *_logits(source, 3)]
    tokens = [4, 0, 1, 1, 2, 0, 1]
    return [(logits, tokens, 1.5, window) for window in (4, 7, 2, 0, 20)]


def _chain(logits: list[float], temperature: float, top_p: float) -> list[float]:
    return top_p_filter(softmax(logits, temperature), top_p)


def _cut_first(logits: list[float], temperature: float, top_p: float) -> list[float]:
    kept = nucleus(softmax(logits), top_p)
    return _kept(softmax(logits, temperature), kept)


def _on_probabilities(logits: list[float], temperature: float, top_p: float) -> list[float]:
    return top_p_filter(softmax([each / temperature for each in softmax(logits)]), top_p)


def _one_short(logits: list[float], temperature: float, top_p: float) -> list[float]:
    shares = softmax(logits, temperature)
    return _kept(shares, nucleus(shares, top_p, short=True))


def _rest_to_last(logits: list[float], temperature: float, top_p: float) -> list[float]:
    shares = softmax(logits, temperature)
    kept = nucleus(shares, top_p)
    result = _kept(shares, kept, renormalised=False)
    result[[each for each in _ranked(shares) if each in kept][-1]] += 1 - sum(result)
    return result


def _sampler_settings(source: Random) -> list[Arguments]:
    return [([3.0, 2.0, 1.0, 0.0, -1.0], 2.0, 0.7), ([1.0, 0.0, 2.5, round(source.uniform(1.4, 1.6), 2)], 0.5, 0.95)]


EXERCISES: tuple[Exercise, ...] = (
    Function(
        "softmax",
        "softmax(logits, temperature)",
        READ,
        softmax,
        _softmax_inputs,
        (
            Mistake(
                N_("The temperature acts on the probabilities here; it belongs to the logits, before the exponential."),
                lambda logits, temperature: _scaled(softmax(logits), 1 / temperature),
            ),
            Mistake(
                N_("The logits are multiplied by the temperature: a low temperature makes this flatter, not sharper."),
                lambda logits, temperature: softmax(logits, 1 / temperature),
            ),
            Mistake(N_("The temperature has no effect here."), lambda logits, temperature: softmax(logits)),  # noqa: ARG005
            Mistake(
                N_("These values do not add up to 1, as probabilities must."),
                lambda logits, temperature: [math.exp((each - max(logits)) / temperature) for each in logits],
            ),
        ),
    ),
    Function(
        "nucleus",
        "top_p_filter(probabilities, top_p)",
        READ,
        top_p_filter,
        _nucleus_inputs,
        (
            Mistake(
                N_("The kept probabilities are not renormalised: they must add up to 1 again."),
                lambda shares, top_p: _kept(shares, nucleus(shares, top_p), renormalised=False),
            ),
            Mistake(
                N_("Off by one at the boundary: a sum that is exactly top_p is enough, and one more token was kept."),
                lambda shares, top_p: _kept(shares, nucleus(shares, top_p, strict=True)),
            ),
            *(
                Mistake(
                    N_("Off by one at the boundary: the token that reaches top_p belongs to the nucleus."),
                    partial(_below, empty=empty),
                )
                for empty in ("", "zeros", "fails")
            ),
            Mistake(
                N_("Tokens with the same probability are kept or removed together; a smaller set is enough."),
                _kept_with_equals,
            ),
            Mistake(
                N_("The first tokens of the list are kept, not the most likely ones."),
                lambda shares, top_p: _kept(shares, set(range(_needed(shares, top_p)))),
            ),
        ),
    ),
    Function(
        "min_p",
        "min_p_filter(probabilities, min_p)",
        READ,
        min_p_filter,
        _min_p_inputs,
        (
            Mistake(N_("min_p is taken as a probability; it is a share of the highest one."), _min_p("absolute")),
            Mistake(N_("Off by one at the boundary: a token exactly at the limit is kept."), _min_p("strict")),
            Mistake(
                N_("The kept probabilities are not renormalised: they must add up to 1 again."), _min_p("unsummed")
            ),
        ),
    ),
    Function(
        "repetition_penalty",
        "penalise(logits, tokens, penalty, window)",
        READ_PENALTIES,
        repetition,
        _penalty_inputs,
        (
            Mistake(
                N_("A negative logit is divided too: that brings it nearer to zero, and makes the token more likely."),
                _always_divided,
            ),
            Mistake(
                N_("The penalty counts each occurrence; this one asks only whether the token is there."),
                _per_occurrence,
            ),
            Mistake(
                N_("The window is taken from the start of the text; it is the last tokens that count."), _first_ones
            ),
            Mistake(
                N_("The window has no effect here: tokens further back are penalised too."),
                lambda logits, tokens, penalty, window: repetition(logits, tokens, penalty, len(tokens)),  # noqa: ARG005
            ),
        ),
    ),
    Sampler(
        "sampler",
        "draw(logits, temperature, top_p, seed)",
        READ,
        _chain,
        _sampler_settings,
        (
            Mistake(
                N_("Wrong order: the nucleus was cut before the temperature. Here the temperature comes first."),
                _cut_first,
            ),
            Mistake(N_("The temperature acts on the probabilities here; it belongs to the logits."), _on_probabilities),
            Mistake(N_("Off by one at the boundary: the token that reaches top_p is never drawn."), _one_short),
            Mistake(
                N_("No renormalisation: the probability of the removed tokens falls to the last token that is kept."),
                _rest_to_last,
            ),
        ),
    ),
)
