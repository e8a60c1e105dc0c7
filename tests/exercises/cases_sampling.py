"""Answers to the exercises on sampling."""

from __future__ import annotations

import math
import random

import numpy as np

from tests.exercises.cases import Case


def softmax_numpy(logits, temperature):
    x = np.array(logits) / temperature
    return np.exp(x - np.logaddexp.reduce(x))


def softmax_on_probabilities(logits, temperature):
    return softmax_numpy(logits, 1) / temperature


def softmax_unsummed(logits, temperature):
    x = np.array(logits) / temperature
    return np.exp(x - x.max())


def softmax_overflow(logits, temperature):
    powers = [math.exp(x / temperature) for x in logits]
    return [p / sum(powers) for p in powers]


def nucleus_numpy(probabilities, top_p):
    p = np.array(probabilities)
    order = np.argsort(-p, kind="stable")
    before = np.cumsum(p[order]) - p[order]
    kept = np.where(before < top_p, p[order], 0)
    result = np.zeros(len(p))
    result[order] = kept / kept.sum()
    return result


def nucleus(condition, *, renormalise=True):
    def answer(probabilities, top_p):
        p = np.array(probabilities)
        order = np.argsort(-p, kind="stable")
        total = np.cumsum(p[order])
        keep = condition(total, p[order], top_p)
        keep[0] = True
        result = np.zeros(len(p))
        result[order[keep]] = p[order[keep]]
        return result / result.sum() if renormalise else result

    return answer


def nucleus_empty(probabilities, top_p):
    """May keep no token, and divides by the sum of those it keeps."""
    kept, total = set(), 0.0
    for token in sorted(range(len(probabilities)), key=lambda token: -probabilities[token]):
        if total + probabilities[token] > top_p:
            break
        kept.add(token)
        total += probabilities[token]
    return [(p if token in kept else 0) / total for token, p in enumerate(probabilities)]


def nucleus_by_value(probabilities, top_p):
    kept = []
    for share in sorted(probabilities, reverse=True):
        kept.append(share)
        if sum(kept) >= top_p:
            break
    p = np.where(np.isin(probabilities, kept), probabilities, 0)
    return p / p.sum()


def nucleus_unsorted(probabilities, top_p):
    p = np.array(probabilities)
    kept = np.where(np.cumsum(p) - p < top_p, p, 0)
    return kept / kept.sum()


def min_p(limit, *, renormalise=True, strict=False):
    def answer(probabilities, min_p):
        p = np.array(probabilities)
        keep = p > limit(p, min_p) if strict else p >= limit(p, min_p)
        keep |= p == p.max()
        kept = np.where(keep, p, 0)
        return kept / kept.sum() if renormalise else kept

    return answer


def penalise(logits, tokens, penalty, window):
    result = np.array(logits)
    seen = np.unique(np.array(tokens[max(0, len(tokens) - window) :], dtype=int))
    result[seen] = np.where(result[seen] > 0, result[seen] / penalty, result[seen] * penalty)
    return result


def penalise_divided(logits, tokens, penalty, window):
    seen = tokens[max(0, len(tokens) - window) :]
    return [x / penalty if i in seen else x for i, x in enumerate(logits)]


def penalise_each(logits, tokens, penalty, window):
    result = list(logits)
    for i in tokens[max(0, len(tokens) - window) :]:
        result[i] = result[i] / penalty if result[i] > 0 else result[i] * penalty
    return result


def penalise_without_window(logits, tokens, penalty, window):
    return penalise(logits, tokens, penalty, len(tokens))


def penalise_start(logits, tokens, penalty, window):
    return penalise(logits, tokens[:window], penalty, window)


def draw_from(shares):
    def answer(logits, temperature, top_p, seed):
        return random.Random(seed).choices(range(len(logits)), shares(logits, temperature, top_p))[0]

    return answer


def draw_numpy(logits, temperature, top_p, seed):
    p = nucleus_numpy(softmax_numpy(logits, temperature), top_p)
    return int(np.random.default_rng(seed).choice(len(p), p=p))


def draw_cut_first(logits, temperature, top_p):
    kept = np.array(nucleus_numpy(softmax_numpy(logits, 1), top_p)) > 0
    return np.where(kept, softmax_numpy(logits, temperature), 0)


def draw_unscaled(logits, temperature, top_p):
    return nucleus_numpy(softmax_numpy(softmax_numpy(logits, 1), temperature), top_p)


def draw_one_short(logits, temperature, top_p):
    p = softmax_numpy(logits, temperature)
    kept = np.array(nucleus_numpy(p, top_p))
    kept[np.where(kept > 0, kept, 2).argmin()] = 0
    return kept


def draw_without_sum(logits, temperature, top_p, seed):
    p = softmax_numpy(logits, temperature)
    kept = [int(token) for token in np.argsort(-p) if nucleus_numpy(p, top_p)[token] > 0]
    u, total = random.Random(seed).random(), 0.0
    for token in kept:
        total += p[token]
        if u < total:
            return token
    return kept[-1]


def draw_unseeded():
    source = random.Random(5)
    return lambda logits, temperature, top_p, _seed: draw_numpy(logits, temperature, top_p, source.getrandbits(32))


def parted(token=lambda shares, u: np.searchsorted(np.cumsum(shares), u, side="right"), u_of=lambda us: us):
    def answer(one, other, randoms):
        draws = zip(one, other, u_of(randoms), strict=True)
        found = [step for step, (a, b, u) in enumerate(draws) if token(a, u) != token(b, u)]
        return found[0] if found else -1

    return answer


CASES = {
    "softmax": Case(
        softmax_numpy,
        (
            (softmax_on_probabilities, "acts on the probabilities"),
            (lambda logits, temperature: softmax_numpy(logits, 1 / temperature), "multiplied by the temperature"),
            (lambda logits, temperature: softmax_numpy(logits, 1), "no effect"),
            (softmax_overflow, "OverflowError"),
            (softmax_unsummed, "do not add up to 1"),
        ),
    ),
    "nucleus": Case(
        nucleus_numpy,
        (
            (nucleus(lambda total, p, top_p: total - p < top_p, renormalise=False), "not renormalised"),
            (nucleus(lambda total, p, top_p: total - p <= top_p), "one more token was kept"),
            (nucleus(lambda total, p, top_p: total <= top_p), "belongs to the nucleus"),
            (nucleus_empty, "belongs to the nucleus.\ntop_p_filter("),
            (nucleus_by_value, "kept or removed together"),
            (nucleus_unsorted, "not the most likely ones"),
        ),
    ),
    "min_p": Case(
        min_p(lambda p, share: share * p.max()),
        (
            (min_p(lambda p, share: share), "share of the highest"),
            (min_p(lambda p, share: share * p.max(), strict=True), "exactly at the limit"),
            (min_p(lambda p, share: share * p.max(), renormalise=False), "not renormalised"),
        ),
    ),
    "repetition_penalty": Case(
        penalise,
        (
            (penalise_divided, "A negative logit is divided too"),
            (penalise_each, "counts each occurrence"),
            (penalise_without_window, "window has no effect"),
            (penalise_start, "from the start of the text"),
        ),
    ),
    "sampler": Case(
        draw_numpy,
        (
            (draw_from(draw_cut_first), "Wrong order"),
            (draw_from(draw_unscaled), "acts on the probabilities"),
            (draw_from(draw_one_short), "Off by one"),
            (draw_without_sum, "No renormalisation"),
            (draw_unseeded(), "the seed does not decide"),
        ),
    ),
    "first_difference": Case(
        parted(),
        (
            (parted(lambda shares, _u: shares), "mostly draw the same"),
            (parted(lambda shares, _u: np.argmax(shares)), "nothing is drawn"),
            (parted(u_of=lambda us: us[:1] * len(us)), "each step has its own"),
        ),
    ),
}
