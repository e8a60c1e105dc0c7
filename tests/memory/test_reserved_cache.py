"""Ranges never overlap, and what is freed is whole again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from courselib.errors import CourseError
from courselib.memory.paged_cache import Cell
from courselib.memory.reserved_cache import POLICIES, ReservedCache

OPERATIONS = st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(1, 20), st.integers(1, 20)), max_size=40)


@given(OPERATIONS, st.integers(1, 200), st.sampled_from(POLICIES))
def test_ranges_and_free_ranges_cover_the_memory_exactly(operations, size, policy):
    cache = ReservedCache(size, 40, policy)
    whole = cache.free_ranges()
    for number, (starts, which, prompt, output) in enumerate(operations):
        if starts:
            try:
                cache.start(number, prompt, output)
            except IndexError:
                assert all(length < cache.wanted(prompt, output) for _at, length in cache.free_ranges())
        elif cache.ranges:
            cache.finish(sorted(cache.ranges)[which % len(cache.ranges)])
        at = 0
        for start, length in sorted([*cache.ranges.values(), *cache.free_ranges()]):
            assert start == at
            at += length
        assert at == size
        assert cache.reserved == sum(length for _at, length in cache.ranges.values())
        assert cache.stored == sum(cache.lengths.values()) <= cache.reserved
    for name in list(cache.ranges):
        cache.finish(name)
    assert cache.free_ranges() == whole
    assert cache.stored == cache.reserved == 0


@pytest.mark.parametrize(("policy", "wanted"), [("max", 2048), ("pow2", 256), ("oracle", 128)])
def test_what_is_reserved(policy, wanted):
    assert ReservedCache(4096, 2000, policy).wanted(28, 100) == wanted


def test_free_memory_in_pieces_is_of_no_use_to_a_long_request():
    cache = ReservedCache(16, 16, "oracle")
    for name in range(4):
        cache.start(name, 2, 2)
    cache.finish(0)
    cache.finish(2)
    assert cache.size - cache.reserved == 8
    with pytest.raises(IndexError):
        cache.start("long", 4, 4)


def test_it_can_be_drawn_in_cells():
    cache = ReservedCache(16, 8)
    cache.start("A", 5, 2)
    assert cache.cells(4) == (Cell(("A",), 4), Cell(("A",), 1), Cell(), Cell())


def test_settings_are_refused_with_a_sentence():
    for wrong in ((0, 8, "max"), (8, 0, "max"), (8, 8, "least")):
        with pytest.raises(CourseError):
            ReservedCache(*wrong)
