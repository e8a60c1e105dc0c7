"""Answers to the exercises on requests that share a server."""

from __future__ import annotations

import itertools
import math

from tests.exercises.cases import Case


def simulated(lengths, slots, *, next_of=lambda waiting, _slot: waiting.pop(0) if waiting else None):
    """Step by step, as a server does it."""
    waiting, busy, steps = list(enumerate(lengths)), [None] * slots, 0
    while True:
        for slot, left in enumerate(busy):
            if not left:
                found = next_of(waiting, slot)
                busy[slot] = found[1] if found else 0
        if not any(busy):
            return steps
        busy = [max(0, left - 1) for left in busy]
        steps += 1


def own_turn(slots):
    """Slot ``n`` takes request ``n``, then ``n + slots``, and so on."""

    def next_of(waiting, slot):
        found = next((each for each in waiting if each[0] % slots == slot), None)
        if found:
            waiting.remove(found)
        return found

    return next_of


def grouped(lengths, slots):
    waiting, total = iter(lengths), 0
    while group := list(itertools.islice(waiting, slots)):
        total += max(group)
    return total


def schedules(static=grouped, continuous=simulated):
    return lambda lengths, slots: (static(lengths, slots), continuous(lengths, slots))


def forked(*, shares_full=True, copies=True, original=0):
    """With a block table for each answer; a block is known by whom it belongs to and its number."""

    def answer(prompt, answers, tokens, block_size):
        used = set()
        for sample in range(answers):
            for token in range(prompt + tokens):
                block = token // block_size
                is_prompts = (block + 1) * block_size <= prompt
                used.add((0 if is_prompts and shares_full else sample, is_prompts, block))
        if not copies:
            return len({token // block_size for token in range(prompt)}) + answers * math.ceil(tokens / block_size)
        return len(used) + (original if prompt % block_size else 0)

    return answer


CASES = {
    "two_schedulers": Case(
        schedules(),
        (
            (schedules(continuous=lambda lengths, slots: math.ceil(sum(lengths) / slots)), "divided evenly"),
            (schedules(continuous=lambda lengths, n: simulated(lengths, n, next_of=own_turn(n))), "in turn"),
            (schedules(lambda lengths, n: max(lengths) * math.ceil(len(lengths) / n)), "longest answer of all"),
            (schedules(lambda lengths, n: grouped(sorted(lengths, reverse=True), n)), "sorted first"),
        ),
    ),
    "forked_blocks": Case(
        forked(),
        (
            (forked(shares_full=False), "copy of the whole prompt"),
            (forked(copies=False), "although it is not full"),
            (forked(original=1), "counted as well"),
            (lambda prompt, answers, tokens, size: math.ceil((prompt + answers * tokens) / size), "put together"),
        ),
    ),
}
