"""Exercises on requests that share a server: its slots, and the blocks of its cache."""

from __future__ import annotations

import heapq
from random import Random

from courselib.exercises.judge import Arguments, Exercise, Function, Mistake
from courselib.i18n import N_


def static_steps(lengths: list[int], slots: int) -> int:
    """Steps where a group of requests fills all slots, and the next waits for its longest answer."""
    return sum(max(lengths[first : first + slots]) for first in range(0, len(lengths), slots))


def continuous_steps(lengths: list[int], slots: int) -> int:
    """Steps where each request takes the slot that becomes free first."""
    ends = [0] * slots
    for length in lengths:
        heapq.heapreplace(ends, ends[0] + length)
    return max(ends)


def steps(lengths: list[int], slots: int) -> list[int]:
    """Steps with static and with continuous batching."""
    return [static_steps(lengths, slots), continuous_steps(lengths, slots)]


def _evenly(lengths: list[int], slots: int) -> list[int]:
    return [static_steps(lengths, slots), -(-sum(lengths) // slots)]


def _in_turn(lengths: list[int], slots: int) -> list[int]:
    return [static_steps(lengths, slots), max(sum(lengths[slot::slots]) for slot in range(slots))]


def _longest_of_all(lengths: list[int], slots: int) -> list[int]:
    return [max(lengths) * -(-len(lengths) // slots), continuous_steps(lengths, slots)]


def _sorted_first(lengths: list[int], slots: int) -> list[int]:
    return [static_steps(sorted(lengths, reverse=True), slots), continuous_steps(lengths, slots)]


def _trace_inputs(source: Random) -> list[Arguments]:
    drawn = [[source.randint(1, 30) for _n in range(source.randint(7, 11))] for _n in range(2)]
    # Two traces that keep each of the mistakes apart, in every variant; fewer requests than slots; one slot.
    return [([9, 1, 1, 1], 2), ([1, 9, 1, 9], 2), (drawn[0], 3), (drawn[1], 4), ([5, 3], 4), (drawn[0], 1)]


def forked_blocks(prompt: int, answers: int, tokens: int, size: int) -> int:
    """Blocks in use when each of several answers to one prompt has so many tokens (one or more)."""
    return prompt // size + answers * -(-(prompt % size + tokens) // size)


def _original_kept(prompt: int, answers: int, tokens: int, size: int) -> int:
    return forked_blocks(prompt, answers, tokens, size) + bool(prompt % size)


def _fork_inputs(source: Random) -> list[Arguments]:
    drawn = [(source.randint(20, 300), source.randint(2, 8), source.randint(1, 90), 16) for _n in range(3)]
    return [(6, 3, 1, 4), (8, 2, 4, 4), (200, 4, 100, 16), (10, 3, 3, 4), *drawn]


EXERCISES: tuple[Exercise, ...] = (
    Function(
        "two_schedulers",
        "steps(lengths, slots)",
        N_("lesson 41, Continuous batching"),
        steps,
        _trace_inputs,
        (
            Mistake(
                N_("Continuous: the tokens are divided evenly between the slots. An answer stays in one slot."), _evenly
            ),
            Mistake(
                N_("Continuous: the slots take requests in turn. A request takes the slot that becomes free first."),
                _in_turn,
            ),
            Mistake(
                N_("Static: each group takes as many steps as the longest answer of all, not its own longest."),
                _longest_of_all,
            ),
            Mistake(N_("Static: the requests are sorted first. A server takes them as they come."), _sorted_first),
        ),
    ),
    Function(
        "forked_blocks",
        "forked_blocks(prompt, answers, tokens, block_size)",
        N_("lesson 33, PagedAttention, on one prompt with several answers"),
        forked_blocks,
        _fork_inputs,
        (
            Mistake(
                N_("Each answer has a copy of the whole prompt here; the full blocks of the prompt are shared."),
                lambda prompt, answers, tokens, size: answers * -(-(prompt + tokens) // size),
            ),
            Mistake(
                N_("All answers share the prompt's last block, although it is not full: who writes into it copies it."),
                lambda prompt, answers, tokens, size: -(-prompt // size) + answers * -(-tokens // size),
            ),
            Mistake(
                N_("The original of the copied block is counted as well; the last answer writes into the original."),
                _original_kept,
            ),
            Mistake(
                N_("The tokens of all answers are put together; a block has tokens of one answer only."),
                lambda prompt, answers, tokens, size: -(-(prompt + answers * tokens) // size),
            ),
        ),
    ),
)
