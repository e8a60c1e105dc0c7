"""Answers to the exercises on the KV cache and attention."""

from __future__ import annotations

import math

import numpy as np

from tests.exercises.cases import Case


def kv(layers, heads, kv_heads, head_size, tokens, width):
    key = np.zeros(head_size, dtype=f"V{width}").nbytes * kv_heads
    return tokens * layers * (key + key)


def blocks(prompt, max_tokens, block_size):
    return len(range(0, prompt + max_tokens, block_size))


def allocator(*, reuses=True, frees=True, takes_part=False):
    """An allocator with lists of blocks, as an engine has, and its faults."""

    def answer(events, blocks, block_size):
        free, tables, room, result = list(range(blocks)), {}, {}, []
        for kind, name, *more in events:
            if kind == "end":
                table = tables.pop(name, [])
                room.pop(name, None)
                free += table if frees else []
            else:
                left = max(0, more[0] - (room.get(name, 0) if reuses else 0))
                wanted = math.ceil(left / block_size)
                if wanted <= len(free):
                    tables.setdefault(name, []).extend(free.pop() for _n in range(wanted))
                    room[name] = room.get(name, 0) + wanted * block_size - more[0]
                elif takes_part:
                    tables.setdefault(name, []).extend(free)
                    # The blocks are taken, and no token is in them.
                    room[name] = room.get(name, 0) + len(free) * block_size
                    free = []
            result.append(len(free))
        return result

    return answer


def allocator_by_tokens(*, forgets=True, spare=0, keeps_names=False):
    """An allocator that keeps the tokens of each request, and its faults."""

    def answer(events, blocks, block_size):
        free, tokens, result = blocks, {}, []
        for kind, name, *more in events:
            before = tokens.get(name, 0)
            if kind == "end":
                free += math.ceil(before / block_size)
                if not keeps_names:
                    tokens.pop(name, None)
            else:
                wanted = math.ceil((before + more[0]) / block_size) - math.ceil(before / block_size)
                fits = wanted + spare <= free
                free -= wanted if fits else 0
                if fits or not forgets:
                    tokens[name] = before + more[0]
            result.append(free)
        return result

    return answer


def tiled_numpy(tiles):
    x = np.concatenate([np.array(tile) for tile in tiles])
    return np.exp(x - np.logaddexp.reduce(x))


def tiled_each(tiles):
    return np.concatenate([tiled_numpy([tile]) for tile in tiles])


def tiled_not_rescaled(tiles):
    high, total = -math.inf, 0.0
    for tile in tiles:
        high = max(high, *tile)
        total += sum(math.exp(x - high) for x in tile)
    return [math.exp(x - high) / total for tile in tiles for x in tile]


def highest_of(tile, *, least=-math.inf):
    """With the maximum of one tile for all of them."""

    def answer(tiles):
        high = max(least, *tiles[tile])
        terms = [math.exp(x - high) for each in tiles for x in each]
        return [term / sum(terms) for term in terms]

    return answer


def highest_from_zero(tiles):
    return highest_of(0, least=0.0)([[x for tile in tiles for x in tile]])


def last_tile(tiles):
    high = max(map(max, tiles))
    return [math.exp(x - high) / sum(math.exp(y - high) for y in tiles[-1]) for tile in tiles for x in tile]


def attention(*, shift=True, values=True, divide=True):
    """In logarithms, as numpy's ``logaddexp`` adds them, and the faults."""

    def answer(parts):
        largest = np.array([part[0] for part in parts])
        if not shift:
            largest = np.zeros(len(parts))
        logs = largest + np.log([part[1] for part in parts])
        whole = np.logaddexp.reduce(logs)
        # In units of the whole sum.
        scale = np.exp(largest - whole) if values else np.full(len(parts), np.exp(largest.max() - whole))
        output = scale @ np.array([part[2] for part in parts])
        return output if divide else output * np.exp(whole - largest.max())

    return answer


CASES = {
    "kv_bytes": Case(
        kv,
        (
            (lambda n, h, k, d, t, w: n * k * d * t * w, "a key and a value"),
            (lambda n, h, k, d, t, w: 2 * n * h * d * t * w, "only the KV heads"),
            (lambda n, h, k, d, t, w: 2 * k * d * t * w, "every layer"),
        ),
    ),
    "blocks_for": Case(
        blocks,
        (
            (lambda p, n, size: (p + n) // size, "Rounded down"),
            (lambda p, n, size: (p + n) // size + 1, "One too many"),
            (lambda p, n, size: math.ceil(p / size) + math.ceil(n / size), "rounded apart"),
            (lambda p, n, size: math.ceil(p / size), "not counted"),
        ),
    ),
    "block_allocator": Case(
        allocator(),
        (
            (allocator(reuses=False), "starts a new block"),
            (allocator(frees=False), "not given back"),
            (allocator(takes_part=True), "refused one changes nothing"),
            (allocator_by_tokens(spare=1), "fills the last free block"),
            (allocator_by_tokens(forgets=False), "still counts as tokens"),
            (allocator_by_tokens(keeps_names=True), "returned [0, 0, 0, 2, 4"),
        ),
    ),
    "tiled_softmax": Case(
        tiled_numpy,
        (
            (tiled_each, "Each tile adds up to 1"),
            (tiled_not_rescaled, "not rescaled"),
            (last_tile, "Only the last tile"),
            (highest_of(-1), "[280.0, 270.0]]) raised OverflowError"),
            (highest_from_zero, "ZeroDivisionError"),
        ),
    ),
    "merge_tiles": Case(
        attention(),
        (
            (attention(shift=False), "added as they are"),
            (attention(values=False), "weighted values are not"),
            (attention(divide=False), "not divided by the sum"),
            (lambda parts: np.mean([np.array(v) / t for _m, t, v in parts], axis=0), "counts the same"),
        ),
    ),
}
