"""What is found of a prompt is its longest known beginning in full blocks, and no block is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from courselib.memory.prefix_cache import PrefixCache

PROMPTS = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=14), max_size=12)


@given(PROMPTS, st.integers(1, 4))
def test_hits_are_those_of_a_list_of_everything_seen(prompts, block_size):
    cache = PrefixCache(1 + 14 * len(prompts) + 1, block_size)
    seen: set[tuple[int, ...]] = set()
    hits = 0
    for prompt in prompts:
        known = 0
        while known + block_size < len(prompt) and tuple(prompt[: known + block_size]) in seen:
            known += block_size
        hits += known
        sequence = cache.start(prompt)
        assert sequence.cached == known
        assert sequence.tokens == prompt
        cache.finish(sequence)
        seen |= {tuple(prompt[:end]) for end in range(block_size, len(prompt) + 1, block_size)}
    assert (cache.hits, cache.queries, cache.used) == (hits, sum(map(len, prompts)), 0)


@given(PROMPTS, st.integers(1, 3), st.integers(15, 24))
def test_with_few_blocks_content_is_lost_and_never_wrong(prompts, block_size, blocks):
    """All run at once for as long as they fit: whoever refers to a block has written just these tokens into it."""
    cache = PrefixCache(blocks, block_size)
    running, memory = [], {}
    for prompt in prompts:
        while True:
            try:
                sequence = cache.start(prompt)
                break
            except IndexError:
                cache.finish(running.pop(0))
        for at in range(sequence.cached, len(prompt)):
            memory[sequence.table[at // block_size], at % block_size] = prompt[at]
        running.append(sequence)
        for each in running:
            places = [(each.table[at // block_size], at % block_size) for at in range(len(each.tokens))]
            assert [memory[place] for place in places] == each.tokens
        assert cache.used == len({block for each in running for block in each.table})
    for each in running:
        cache.finish(each)
    assert (cache.used, cache.usage) == (0, 0)


def test_the_last_token_is_always_computed_and_generated_text_is_found_too():
    cache = PrefixCache(20, 4)
    first = cache.start(range(8))
    assert (cache.start(range(8)).cached, cache.start(range(9)).cached) == (4, 8)
    for token in range(8, 12):
        cache.append(first, token)
    assert cache.start(range(13)).cached == 12


def test_the_beginning_is_kept_longest():
    cache = PrefixCache(4, 4)
    cache.finish(cache.start(range(12)))
    cache.finish(cache.start(range(100, 104)))
    assert cache.start(range(12)).cached == 8


def test_a_full_cache_refuses_and_stays_as_it_was():
    cache = PrefixCache(3, 4)
    sequence = cache.start(range(8))
    with pytest.raises(IndexError):
        cache.start(range(100, 101))
    with pytest.raises(IndexError):
        cache.append(sequence, 8)
    assert (cache.used, cache.usage, sequence.tokens) == (2, 1.0, list(range(8)))
