"""Exercises on the KV cache, its blocks, and attention in tiles."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from courselib.exercises.judge import Arguments, Exercise, Function, Mistake
from courselib.i18n import N_

READ_CACHE = N_("lesson 32, The KV cache")
READ_FLASH = N_("lesson 34, FlashAttention")


def kv_bytes(layers: int, heads: int, kv_heads: int, head_size: int, tokens: int, width: int) -> int:  # noqa: ARG001
    """Bytes of keys and values of ``tokens`` tokens, ``width`` bytes a number."""
    return 2 * layers * kv_heads * head_size * tokens * width


def _kv_inputs(source: Random) -> list[Arguments]:
    drawn = [
        (source.randint(8, 80), 8 * kv_heads, kv_heads, source.choice([64, 128]), source.randint(100, 9999), 2)
        for kv_heads in (source.choice([2, 4]), 8)
    ]
    return [(30, 9, 3, 64, 1024, 2), *drawn, (32, 32, 8, 128, 1, 1)]


def blocks_for(prompt: int, max_tokens: int, block_size: int) -> int:
    """Blocks that a request needs at most."""
    return -(-(prompt + max_tokens) // block_size)


def _block_inputs(source: Random) -> list[Arguments]:
    drawn = [(source.randint(1, 500), source.randint(1, 500), 16) for _n in range(4)]
    return [(16, 16, 16), (17, 15, 16), (5, 5, 16), (16, 1, 16), (3, 30, 32), *drawn]


def free_blocks(events: list[list[Any]], blocks: int, block_size: int, *, fault: str = "") -> list[int]:
    """Free blocks after each event: ``["grow", name, tokens]``, refused where it does not fit, or ``["end", name]``."""
    tokens: dict[str, int] = {}
    held: dict[str, int] = {}
    free, result = blocks, []
    for kind, name, *more in events:
        if kind == "end":
            freed = held.pop(name, 0)
            free += 0 if fault == "kept" else freed
            tokens.pop(name, None)
        else:
            together = (tokens.get(name, 0) if fault != "each" else 0) + more[0]
            needed = -(-together // block_size) - (held.get(name, 0) if fault != "each" else 0)
            if needed < free + (fault != "spare"):
                tokens[name] = tokens.get(name, 0) + more[0]
                held[name], free = held.get(name, 0) + needed, free - needed
            elif fault == "part":
                held[name], free = held.get(name, 0) + free, 0
            elif fault == "counted":
                tokens[name], held[name] = together, held.get(name, 0) + needed
        result.append(free)
    return result


def _event_inputs(source: Random) -> list[Arguments]:
    first = [["grow", "a", 20], ["grow", "a", 1], ["grow", "b", 40], ["end", "a"], ["grow", "c", 200], ["grow", "b", 9]]
    # A full cache, a growth that is refused and then forgotten, and a name that ends twice and comes back.
    full = [["grow", "a", 20], ["grow", "a", 13], ["grow", "a", 12], ["end", "a"], ["end", "a"], ["grow", "a", 1]]
    events: list[list[Any]] = []
    # So few that the message can show all of them.
    for _n in range(8):
        name = source.choice("abc")
        events.append(["end", name] if source.random() < 0.25 else ["grow", name, source.randint(1, 40)])
    return [(first, 6, 16), (full, 2, 16), (events, 4, 16)]


def tiled_softmax(tiles: list[list[float]]) -> list[float]:
    """Softmax over all tiles."""
    scores = [each for tile in tiles for each in tile]
    high = max(scores)
    return [math.exp(each - high) / sum(math.exp(other - high) for other in scores) for each in scores]


def _tile_by_tile(tiles: list[list[float]]) -> list[float]:
    return [share for tile in tiles for share in tiled_softmax([tile])]


def _sum_not_rescaled(tiles: list[list[float]]) -> list[float]:
    high, total = -math.inf, 0.0
    for tile in tiles:
        high = max(high, *tile)
        total += sum(math.exp(each - high) for each in tile)
    return [math.exp(each - high) / total for tile in tiles for each in tile]


def _last_tile_only(tiles: list[list[float]]) -> list[float]:
    high = max(each for tile in tiles for each in tile)
    total = sum(math.exp(each - high) for each in tiles[-1])
    return [math.exp(each - high) / total for tile in tiles for each in tile]


def _tile_inputs(source: Random) -> list[Arguments]:
    def tile() -> list[float]:
        return [round(source.uniform(-4, 4), 2) for _n in range(3)]

    # The maximum in the middle, so far from both ends that one of theirs makes a term overflow; and all scores so low
    # that a maximum of 0 makes each term 0.
    far, low = [[-1000.0, -999.0], [1000.0, 999.5], [280.0, 270.0]], [[-1000.0, -999.0], [-998.0, -999.5]]
    return [([[1.0, 2.0], [3.0, 0.0]],), ([tile(), tile(), tile()],), (far,), (low,)]


def merged(parts: list[list[Any]], *, fault: str = "") -> list[float]:
    """The output of attention for one query, from tiles that each have ``[largest score, sum, weighted values]``."""
    high = max(largest for largest, _total, _values in parts)
    shrink = [1.0 if fault == "unscaled" else math.exp(largest - high) for largest, _total, _values in parts]
    total = sum(factor * part[1] for factor, part in zip(shrink, parts, strict=True))
    if fault == "sum only":
        shrink = [1.0] * len(parts)
    columns = zip(*(part[2] for part in parts), strict=True)
    added = [sum(factor * each for factor, each in zip(shrink, column, strict=True)) for column in columns]
    return added if fault == "undivided" else [each / total for each in added]


def _mean_of_tiles(parts: list[list[Any]]) -> list[float]:
    each = [[value / total for value in values] for _largest, total, values in parts]
    return [sum(column) / len(parts) for column in zip(*each, strict=True)]


def _part_inputs(source: Random) -> list[Arguments]:
    def part(high: float) -> list[Any]:
        scores = [high, *(high - source.uniform(0, 3) for _n in range(2))]
        weights = [math.exp(score - high) for score in scores]
        values = [[source.uniform(-1, 1) for _n in scores] for _column in range(2)]
        return [high, sum(weights), [sum(map(float.__mul__, weights, column)) for column in values]]

    # The largest score last, first, and so far above another tile's that its exponential alone would overflow.
    return [([part(5.0), part(7.0)],), ([part(2.0), part(-1.0), part(1.5)],), ([part(-900.0), part(900.0)],)]


EXERCISES: tuple[Exercise, ...] = (
    Function(
        "kv_bytes",
        "kv_bytes(layers, heads, kv_heads, head_size, tokens, width)",
        READ_CACHE,
        kv_bytes,
        _kv_inputs,
        (
            Mistake(
                N_("Half is missing: each token leaves a key and a value."),
                lambda *call: kv_bytes(*call) // 2,
            ),
            Mistake(
                N_("All attention heads are counted; only the KV heads have a cache."),
                lambda layers, heads, _kv, *more: kv_bytes(layers, heads, heads, *more),
            ),
            Mistake(
                N_("One layer is counted; every layer has a cache of its own."),
                lambda _layers, *more: kv_bytes(1, *more),
            ),
        ),
    ),
    Function(
        "blocks_for",
        "blocks_for(prompt, max_tokens, block_size)",
        READ_CACHE,
        blocks_for,
        _block_inputs,
        (
            Mistake(
                N_("Rounded down: the tokens that fill no whole block need a block too."),
                lambda prompt, answer, size: (prompt + answer) // size,
            ),
            Mistake(
                N_("One too many where the tokens fill their blocks exactly."),
                lambda prompt, answer, size: (prompt + answer) // size + 1,
            ),
            Mistake(
                N_("Prompt and answer are rounded apart; the answer goes on in the block where the prompt ends."),
                lambda prompt, answer, size: -(-prompt // size) - (-answer // size),
            ),
            Mistake(
                N_("The answer is not counted: its tokens are in the cache as well."),
                lambda prompt, _answer, size: -(-prompt // size),
            ),
        ),
    ),
    Function(
        "block_allocator",
        "free_blocks(events, blocks, block_size)",
        READ_CACHE,
        free_blocks,
        _event_inputs,
        (
            Mistake(
                N_("Each growth starts a new block; the free places of the request's last block come first."),
                lambda *call: free_blocks(*call, fault="each"),
            ),
            Mistake(
                N_("The blocks of a request that has ended are not given back."),
                lambda *call: free_blocks(*call, fault="kept"),
            ),
            Mistake(
                N_("A growth that fills the last free block is refused; it fits."),
                lambda *call: free_blocks(*call, fault="spare"),
            ),
            Mistake(
                N_("A growth that was refused still counts as tokens of its request."),
                lambda *call: free_blocks(*call, fault="counted"),
            ),
            Mistake(
                N_("A growth that does not fit still took blocks; a refused one changes nothing."),
                lambda *call: free_blocks(*call, fault="part"),
            ),
        ),
    ),
    Function(
        "tiled_softmax",
        "tiled_softmax(tiles)",
        READ_FLASH,
        tiled_softmax,
        _tile_inputs,
        (
            Mistake(N_("Each tile adds up to 1; all tiles together must."), _tile_by_tile),
            Mistake(
                N_("The sum is not rescaled when a later tile has a higher maximum: its parts have different scales."),
                _sum_not_rescaled,
            ),
            Mistake(N_("Only the last tile is in the sum; the earlier ones are lost."), _last_tile_only),
        ),
    ),
    Function(
        "merge_tiles",
        "merge(parts)",
        READ_FLASH,
        merged,
        _part_inputs,
        (
            Mistake(
                N_("The tiles are added as they are: their sums belong to different largest scores."),
                lambda parts: merged(parts, fault="unscaled"),
            ),
            Mistake(
                N_("The sums are rescaled and the weighted values are not: both belong to the tile's largest score."),
                lambda parts: merged(parts, fault="sum only"),
            ),
            Mistake(
                N_("The result is not divided by the sum."),
                lambda parts: merged(parts, fault="undivided"),
            ),
            Mistake(
                N_("Each tile counts the same; a tile with higher scores has more weight."),
                _mean_of_tiles,
            ),
        ),
    ),
)
