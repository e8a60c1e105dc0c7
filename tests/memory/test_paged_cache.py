"""Blocks are neither lost nor given twice, and a sequence reads back what it wrote, whatever others write meanwhile."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from courselib.errors import CourseError
from courselib.memory.paged_cache import Cell, PagedCache, Pool

OPERATIONS = st.lists(st.tuples(st.sampled_from(["start", "fork", "append", "append", "finish"]), st.integers(0, 9),
                                st.integers(1, 9)), max_size=60)  # fmt: skip


class Written:
    """What is in the blocks of a cache, and what each sequence has written."""

    def __init__(self, blocks, block_size):
        self.cache = PagedCache(blocks, block_size)
        self.memory = {block: [None] * block_size for block in range(blocks)}
        self.texts = {}
        self.count = 0

    def do(self, kind, which, tokens):
        names = sorted(self.texts)
        name = names[which % len(names)] if names else None
        self.count += 1
        if kind == "start":
            self.start(self.count, tokens)
        elif name is not None:
            getattr(self, kind)(name)

    def start(self, name, tokens):
        before = (self.cache.stored, list(self.cache.pool.free))
        try:
            self.cache.start(name, tokens)
        except IndexError:
            assert (self.cache.stored, list(self.cache.pool.free)) == before
            return
        self.texts[name] = []
        for at in range(tokens):
            self.write(name, at)

    def fork(self, name):
        self.cache.fork(name, self.count)
        self.texts[self.count] = list(self.texts[name])

    def append(self, name):
        before = list(self.cache.tables[name])
        try:
            self.cache.append(name)
        except IndexError:
            assert not self.cache.pool.free
            assert self.cache.tables[name] == before
            return
        after = self.cache.tables[name]
        if len(after) == len(before) and before[-1] != after[-1]:
            self.memory[after[-1]] = list(self.memory[before[-1]])  # what an engine does on copy-on-write
        self.write(name, len(self.texts[name]))

    def finish(self, name):
        self.cache.finish(name)
        del self.texts[name]

    def write(self, name, at):
        token = (name, self.count, at)
        size = self.cache.block_size
        self.memory[self.cache.tables[name][at // size]][at % size] = token
        self.texts[name].append(token)

    def check(self):
        cache, pool = self.cache, self.cache.pool
        references = Counter(block for table in cache.tables.values() for block in table)
        assert {block: users for block, users in enumerate(pool.users) if users} == dict(references)
        assert sorted(pool.free) == [block for block in range(cache.blocks) if not references[block]]
        assert cache.used == len(references)
        for name, text in self.texts.items():
            read = [token for block in cache.tables[name] for token in self.memory[block]]
            assert read[: len(text)] == text
            assert cache.lengths[name] == len(text)
        assert cache.stored == sum(cell.tokens for cell in cache.cells())
        assert cache.stored <= cache.reserved <= cache.size


@given(OPERATIONS, st.integers(1, 12), st.integers(1, 5))
def test_no_block_is_lost_or_shared_wrongly_and_every_sequence_reads_its_own_tokens(operations, blocks, block_size):
    written = Written(blocks, block_size)
    for operation in operations:
        written.do(*operation)
        written.check()
    for name in list(written.texts):
        written.finish(name)
    assert sorted(written.cache.pool.free) == list(range(blocks))
    assert written.cache.stored == 0


def test_samples_share_a_prompt_until_they_write_and_the_last_writes_in_place():
    cache = PagedCache(8, 4)
    cache.start("A", 6)
    cache.fork("A", "B")
    cache.fork("A", "C")
    assert cache.used == 2
    for name in "ABC":
        cache.append(name)
    assert cache.tables == {"A": [0, 2], "B": [0, 3], "C": [0, 1]}
    assert (cache.copies, cache.used, cache.stored) == (2, 4, 4 + 3 * 3)
    assert cache.cells()[:3] == (Cell(("A", "B", "C"), 4), Cell(("C",), 3), Cell(("A",), 3))


def test_a_prompt_that_ends_with_its_block_is_never_copied():
    cache = PagedCache(8, 4)
    cache.start("A", 8)
    cache.fork("A", "B")
    cache.append("A")
    cache.append("B")
    assert (cache.copies, cache.used) == (0, 4)


@pytest.mark.parametrize(("samples", "generated", "blocks"), [(1, 0, 2), (1, 3, 3), (3, 0, 2), (3, 1, 4), (3, 4, 7)])
def test_what_a_request_needs(samples, generated, blocks):
    cache = PagedCache(20, 4)
    assert cache.needed(6, samples, generated) == blocks
    cache.start(0, 6)
    for sample in range(1, samples):
        cache.fork(0, sample)
    for _token in range(generated):
        for sample in range(samples):
            cache.append(sample)
    assert cache.used == blocks


def test_a_pool_takes_what_has_been_free_the_longest():
    pool = Pool(3)
    assert [pool.take(), pool.take()] == [0, 1]
    pool.release(0)
    assert [pool.take(), pool.take()] == [2, 0]
    with pytest.raises(IndexError):
        pool.take()


def test_what_cannot_be_is_refused_with_a_sentence():
    for wrong in ((0, 4), (4, 0), (2.5, 4)):
        with pytest.raises(CourseError):
            PagedCache(*wrong)
    cache = PagedCache(4, 4)
    cache.start("A", 1)
    with pytest.raises(CourseError, match="already"):
        cache.start("A", 1)
    with pytest.raises(CourseError, match="already"):
        cache.fork("A", "A")
