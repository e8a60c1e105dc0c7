"""Answers to the exercises with a formula."""

from __future__ import annotations

import numpy as np

from tests.exercises.cases import Case


def penalties(presence_of=lambda n: n > 0, frequency_of=lambda n: n, sign=-1):
    def answer(logits, generated, presence, frequency):
        counts = np.bincount(np.array(generated, dtype=int), minlength=len(logits))
        return np.array(logits) + sign * (presence * presence_of(counts) + frequency * frequency_of(counts))

    return answer


def cache(*, width=None, parts=2, row=256):
    width = width or {"f16": 2, "q8_0": 34 / 32, "q4_0": 18 / 32}

    def answer(layers, kv_heads, head_size, context, kind):
        cells = len(range(0, context, row)) * row
        return int(layers * kv_heads * head_size * cells * parts * width[kind])

    return answer


def block(to_whole=np.rint, most=127, size=np.abs):
    def answer(values):
        x = np.array(values)
        scale = float(size(x).max()) / most
        return [scale, [int(n) for n in (to_whole(x / scale) if scale else np.zeros(len(x)))]]

    return answer


def dry(*, strict=False, growth=lambda base, over, _n: base**over):
    def answer(length, multiplier, base, allowed):
        over = length - allowed
        return multiplier * growth(base, over, length) if over > 0 or (over == 0 and not strict) else 0

    return answer


def cached(*, size_of=lambda size: size, least=1, goes_on=False):
    def answer(earlier, prompt, block_size):
        size, found = size_of(block_size), 0
        for end in range(size, len(prompt) - least + 1, size):
            if earlier[end - size : end] == prompt[end - size : end]:
                found += size
            elif not goes_on:
                break
        return found

    return answer


def mixed(bits, *, whole=8, weight=lambda n: n):
    """With the bits of each format, and how much a tensor counts."""

    def answer(tensors):
        weights = [weight(count) for count, _kind in tensors]
        return np.average([bits[kind] for _count, kind in tensors], weights=weights) * whole / 8

    return answer


BITS = {"F16": 16, "Q8_0": 8.5, "Q5_0": 5.5, "Q6_K": 6.5625, "Q4_K": 4.5}

CASES = {
    "presence_frequency": Case(
        penalties(),
        (
            (penalties(presence_of=lambda n: n), "counts each occurrence"),
            (penalties(frequency_of=lambda n: n > 0), "one occurrence as for many"),
            (penalties(sign=1), "becomes likelier"),
        ),
    ),
    "perplexity": Case(
        lambda logprobs: np.prod(np.exp(logprobs)) ** (-1 / len(logprobs)),
        (
            (lambda logprobs: np.exp(-np.sum(logprobs)), "The sum is taken"),
            (lambda logprobs: np.exp(np.mean(logprobs)), "The sign is lost"),
            (lambda logprobs: np.exp2(-np.mean(logprobs)), "natural ones"),
        ),
    ),
    "quantised_kv": Case(
        cache(),
        (
            (cache(width={"f16": 2, "q8_0": 1, "q4_0": 0.5}), "scale of each block"),
            (cache(parts=1), "Keys alone"),
            (cache(row=1), "not rounded up"),
        ),
    ),
    "q8_block": Case(
        block(),
        (
            (block(to_whole=np.trunc), "cut off and not rounded"),
            (block(most=128), "not 128"),
            (block(size=lambda x: x), "larger in size"),
        ),
    ),
    "dry_penalty": Case(
        dry(),
        (
            (dry(strict=True), "exactly the allowed length"),
            (dry(growth=lambda base, _over, n: base**n), "lower the exponent"),
            (dry(growth=lambda base, over, _n: 1 + base * over), "by a factor"),
        ),
    ),
    "cached_tokens": Case(
        cached(),
        (
            (cached(size_of=lambda _size: 1), "Single tokens"),
            (cached(least=0), "last token must be computed"),
            (cached(goes_on=True), "depend on all before"),
        ),
    ),
    "bits_per_weight": Case(
        mixed(BITS),
        (
            (mixed(BITS, weight=lambda n: 1), "counts the same"),
            (mixed({kind: int(bits) for kind, bits in BITS.items()}), "scales are not counted"),
            (mixed(BITS, whole=1), "bytes, not bits"),
        ),
    ),
}
