"""Exercises with a formula: penalties of OpenAI's routes, perplexity, and numbers in fewer bits."""

from __future__ import annotations

import math
from collections import Counter
from random import Random
from typing import Any

from courselib.exercises.judge import Arguments, Exercise, Function, Mistake
from courselib.i18n import N_

READ_MEMORY = N_("lesson 30, Where the memory goes")
BLOCK, SCALE_BYTES = 32, 2
# llama.cpp rounds a cache up to whole rows of so many cells.
CELLS = 256
BITS = {"f16": 16, "q8_0": 8, "q4_0": 4}


def penalised(
    logits: list[float], generated: list[int], presence: float, frequency: float, *, fault: str = ""
) -> list[float]:
    """Logits less ``presence`` for each token that was generated, and ``frequency`` for each time it was."""
    counts = Counter(generated)
    result = list(logits)
    for token, count in counts.items():
        times = 1 if fault == "flat" else count
        once = count if fault == "each" else 1
        taken = presence * once + frequency * times
        result[token] += taken if fault == "added" else -taken
    return result


def _penalty_inputs(source: Random) -> list[Arguments]:
    logits = [round(source.uniform(-3, 3), 2) for _n in range(6)]
    generated = [source.randrange(6) for _n in range(9)]
    calls: list[Arguments] = [([2.0, -1.0, 0.5], [0, 0, 1, 0], 0.5, 0.25), (logits, generated, 0.6, 0.3)]
    return [*calls, (logits, [1, 1, 4], 0.0, 1.1), (logits, [2, 2], 1.5, 0.0), (logits, [], 1.0, 1.0)]


def perplexity(logprobs: list[float]) -> float:
    """The exponential of the mean negative log-probability."""
    return math.exp(-sum(logprobs) / len(logprobs))


def _logprob_inputs(source: Random) -> list[Arguments]:
    drawn = [[round(source.uniform(-4, -0.1), 3) for _n in range(size)] for size in (3, 7)]
    return [([-0.5, -1.5],), *((each,) for each in drawn), ([math.log(1 / 8)] * 4,)]


def cache_bytes(layers: int, kv_heads: int, head_size: int, context: int, kind: str, *, fault: str = "") -> int:
    """Bytes of llama.cpp's KV cache in a number format with blocks of 32 numbers."""
    cells = context if fault == "exact" else -(-context // CELLS) * CELLS
    numbers = 2 * layers * kv_heads * head_size * cells // (2 if fault == "keys" else 1)
    plain = numbers * BITS[kind] // 8
    return plain if kind == "f16" or fault == "scale" else plain + numbers // BLOCK * SCALE_BYTES


def _cache_inputs(source: Random) -> list[Arguments]:
    layers, kv_heads = source.randint(8, 80), source.choice([2, 4, 8])
    kinds = [(layers, kv_heads, 128, source.randint(1, 30) * 100 + 7, kind) for kind in BITS]
    return [(30, 3, 64, 4096, "q8_0"), (30, 3, 64, 1000, "f16"), *kinds]


def q8_block(values: list[float], *, fault: str = "") -> list[Any]:
    """``[scale, whole numbers]`` of a block, from -127 to 127; the scale is 0 where all values are."""
    largest = max(values) if fault == "sign" else max(map(abs, values))
    scale = largest / (128 if fault == "128" else 127)
    to_whole = int if fault == "truncated" else round
    return [scale, [to_whole(each / scale) if scale else 0 for each in values]]


def _block_inputs(source: Random) -> list[Arguments]:
    def block(low: float, high: float) -> list[float]:
        # 0.01 apart from the halves, so that a tie is no question.
        scale = max(abs(low), abs(high)) / 127
        drawn = [scale * (source.randint(-126, 126) + source.uniform(-0.4, 0.4)) for _n in range(6)]
        return [low, high, *drawn]

    return [(block(-2.0, 1.0),), (block(-0.3, 0.9),), ([0.0, 0.0, 0.0],), ([-1.27, 0.008, 0.016, 1.0],)]


def dry_penalty(length: int, multiplier: float, base: float, allowed: int) -> float:
    """What DRY takes from the logit of a token that would prolong a repetition of ``length`` tokens."""
    return float(multiplier * base ** (length - allowed)) if length >= allowed else 0.0


def _dry_inputs(source: Random) -> list[Arguments]:
    multiplier, base = round(source.uniform(0.3, 1.2), 2), round(source.uniform(1.2, 2.5), 2)
    return [(length, 0.8, 1.75, 2) for length in (1, 2, 5)] + [(n, multiplier, base, 3) for n in (0, 2, 3, 4, 9)]


def cached_tokens(earlier: list[int], prompt: list[int], block_size: int) -> int:
    """Tokens of a prompt that a prefix cache has after an earlier prompt: whole blocks, and never the last token."""
    return min(_common(earlier, prompt), len(prompt) - 1) // block_size * block_size


def _common(earlier: list[int], prompt: list[int]) -> int:
    pairs = zip(earlier, prompt, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(earlier), len(prompt)))


def _equal_places(earlier: list[int], prompt: list[int], size: int) -> int:
    blocks = range(0, len(prompt) - size, size)
    return size * sum(earlier[at : at + size] == prompt[at : at + size] for at in blocks)


def _prefix_inputs(source: Random) -> list[Arguments]:
    text = [source.randint(1, 99) for _n in range(20)]
    changed = [*text[:5], 0, *text[6:]]
    return [
        (text, [*text, 1, 2], 4),
        (text, text, 4),
        (text, changed, 4),
        (text, [*text[:10], 0], 4),
        (text, [0, 1], 4),
    ]


# Of llama.cpp's formats: numbers in a block, bytes of a block (ggml-common.h).
BLOCKS = {"F16": (1, 2), "Q8_0": (32, 34), "Q5_0": (32, 22), "Q6_K": (256, 210), "Q4_K": (256, 144)}


def bits_per_weight(tensors: list[list[Any]]) -> float:
    """Bits a number in tensors given by how many numbers they have, and their format."""
    numbers = sum(int(count) for count, _kind in tensors)
    return float(sum(count * _bits(kind) for count, kind in tensors) / numbers)


def _bits(kind: str) -> float:
    numbers, size = BLOCKS[kind]
    return 8 * size / numbers


def _named_bits(tensors: list[list[Any]]) -> float:
    numbers = sum(int(count) for count, _kind in tensors)
    return float(sum(count * int(kind[1:3].rstrip("_")) for count, kind in tensors) / numbers)


def _tensor_inputs(source: Random) -> list[Arguments]:
    def drawn() -> list[list[Any]]:
        return [[256 * source.randint(1, 900), kind] for kind in source.sample(sorted(BLOCKS), 3)]

    return [([[256, "Q8_0"]],), ([[2560, "Q4_K"], [256, "F16"]],), (drawn(),), (drawn(),)]


EXERCISES: tuple[Exercise, ...] = (
    Function(
        "presence_frequency",
        "penalise(logits, generated, presence, frequency)",
        N_("lesson 23, Repetition: penalties"),
        penalised,
        _penalty_inputs,
        (
            Mistake(
                N_("The presence penalty counts each occurrence here; it asks only whether there is one."),
                lambda *call: penalised(*call, fault="each"),
            ),
            Mistake(
                N_("The frequency penalty is the same for one occurrence as for many."),
                lambda *call: penalised(*call, fault="flat"),
            ),
            Mistake(
                N_("The penalties raise the logits: what was said becomes likelier."),
                lambda *call: penalised(*call, fault="added"),
            ),
        ),
    ),
    Function(
        "perplexity",
        "perplexity(logprobs)",
        N_("lesson 20, Generation: the same request everywhere, on log-probabilities"),
        perplexity,
        _logprob_inputs,
        (
            Mistake(
                N_("The sum is taken, so a longer text looks worse; the mean is meant."),
                lambda logprobs: math.exp(-sum(logprobs)),
            ),
            Mistake(N_("The sign is lost: a perplexity is 1 or more."), lambda logprobs: 1 / perplexity(logprobs)),
            Mistake(
                N_("These logarithms are natural ones; 2 is the base of another kind."),
                lambda logprobs: 2 ** (-sum(logprobs) / len(logprobs)),
            ),
        ),
    ),
    Function(
        "quantised_kv",
        "kv_bytes(layers, kv_heads, head_size, context, kind)",
        READ_MEMORY,
        cache_bytes,
        _cache_inputs,
        (
            Mistake(N_("The scale of each block is not counted."), lambda *call: cache_bytes(*call, fault="scale")),
            Mistake(
                N_("Keys alone are counted; the values take as much again."),
                lambda *call: cache_bytes(*call, fault="keys"),
            ),
            Mistake(
                N_("The context is not rounded up to whole rows of 256 cells."),
                lambda *call: cache_bytes(*call, fault="exact"),
            ),
        ),
    ),
    Function(
        "q8_block",
        "quantise(values)",
        N_("lesson 31, Quantisation"),
        q8_block,
        _block_inputs,
        (
            Mistake(
                N_("The numbers are cut off and not rounded: every error is towards 0."),
                lambda values: q8_block(values, fault="truncated"),
            ),
            Mistake(
                N_("The largest number must become 127, not 128: a signed byte ends there."),
                lambda values: q8_block(values, fault="128"),
            ),
            Mistake(
                N_("The scale follows the largest value; a negative one may be larger in size."),
                lambda values: q8_block(values, fault="sign"),
            ),
        ),
    ),
    Function(
        "dry_penalty",
        "dry_penalty(length, multiplier, base, allowed)",
        N_("lesson 24, Repetition: phrases"),
        dry_penalty,
        _dry_inputs,
        (
            Mistake(
                N_("A repetition of exactly the allowed length is penalised already, by the multiplier itself."),
                lambda n, multiplier, base, allowed: dry_penalty(n, multiplier, base, allowed) if n > allowed else 0.0,
            ),
            Mistake(
                N_("The allowed length does not lower the exponent here."),
                lambda n, multiplier, base, allowed: multiplier * base**n if n >= allowed else 0.0,
            ),
            Mistake(
                N_("This grows by the same amount with each token; it must grow by a factor."),
                lambda n, multiplier, base, allowed: multiplier * (1 + base * (n - allowed)) if n >= allowed else 0.0,
            ),
        ),
    ),
    Function(
        "cached_tokens",
        "cached_tokens(earlier, prompt, block_size)",
        N_("lesson 33, PagedAttention"),
        cached_tokens,
        _prefix_inputs,
        (
            Mistake(
                N_("Single tokens are counted; the cache keeps whole blocks only."),
                lambda earlier, prompt, _size: min(_common(earlier, prompt), len(prompt) - 1),
            ),
            Mistake(
                N_("A whole prompt is taken from the cache; its last token must be computed, to draw from."),
                lambda earlier, prompt, size: _common(earlier, prompt) // size * size,
            ),
            Mistake(
                N_("Equal blocks after a different one are counted; their keys and values depend on all before them."),
                _equal_places,
            ),
        ),
    ),
    Function(
        "bits_per_weight",
        "bits_per_weight(tensors)",
        N_("lesson 31, Quantisation"),
        bits_per_weight,
        _tensor_inputs,
        (
            Mistake(
                N_("Each tensor counts the same; one with more numbers takes more of the file."),
                lambda tensors: sum(_bits(kind) for _count, kind in tensors) / len(tensors),
            ),
            Mistake(N_("The scales are not counted: the name of a format leaves them out."), _named_bits),
            Mistake(N_("These are bytes, not bits."), lambda tensors: bits_per_weight(tensors) / 8),
        ),
    ),
)
