"""Every request gets its tokens, whatever has to wait or to give way, and no memory is left taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from courselib.errors import CourseError
from courselib.memory.paged_cache import PagedCache
from courselib.memory.reserved_cache import POLICIES, ReservedCache
from courselib.memory.serving import Request, serve

REQUEST = st.builds(Request, prompt=st.integers(1, 12), output=st.integers(1, 12), samples=st.integers(1, 3),
                    arrival=st.integers(0, 30))  # fmt: skip
TRACE = st.lists(REQUEST, max_size=12).map(lambda trace: sorted(trace, key=lambda request: request.arrival))


def tokens(trace):
    return sum(request.output * request.samples for request in trace)


@given(TRACE, st.integers(1, 5), st.integers(0, 40), st.integers(1, 12))
def test_a_paged_cache_conserves_tokens_and_blocks(trace, block_size, more, max_running):
    needed = PagedCache(1, block_size).needed
    largest = max((needed(each.prompt, each.samples, each.output) for each in trace), default=1)
    cache = PagedCache(largest + more, block_size)
    seen = []

    def watch(_step, cache):
        assert cache.stored == sum(cell.tokens for cell in cache.cells())
        seen.append(len({str(name).rstrip("123") for name in cache.tables}))

    served = serve(trace, cache, max_running=max_running, watch=watch)
    assert served.generated == tokens(trace)
    assert max(seen, default=0) <= served.most_running <= max_running
    assert all(
        finished >= request.arrival + request.output + 1
        for finished, request in zip(served.finished, trace, strict=True)
    )
    assert served.steps == max(served.finished, default=0)
    assert (cache.used, cache.stored) == (0, 0)
    assert (served.recomputed > 0) <= (served.preemptions > 0)


@given(TRACE, st.sampled_from(POLICIES), st.integers(64, 300))
def test_reserving_conserves_tokens_and_never_preempts(trace, policy, size):
    cache = ReservedCache(size, 24, policy)
    trace = [request for request in trace if cache.wanted(request.prompt, request.output) * request.samples <= 64]
    served = serve(trace, cache)
    assert served.generated == tokens(trace)
    assert (served.preemptions, cache.reserved, cache.stored) == (0, 0, 0)


def test_requests_wait_for_one_another_in_order():
    served = serve([Request(4, 4), Request(4, 4), Request(4, 4)], PagedCache(100, 4), max_running=1)
    assert served.finished == [5, 10, 15]  # a step for each prompt, and one for each token
    assert served.most_running == 1
    assert serve([Request(4, 4)] * 3, PagedCache(100, 4)).steps == 5


def test_the_last_admitted_gives_way_and_computes_again_what_it_had():
    served = serve([Request(4, 8), Request(4, 8)], PagedCache(4, 4))
    assert served.preemptions == 1
    assert served.recomputed == 4 + 4
    assert served.finished[0] < served.finished[1]
    assert serve([Request(4, 8), Request(4, 8)], PagedCache(6, 4)).preemptions == 0


def test_pages_admit_more_than_reservations():
    trace = [Request(10, 20)] * 40
    paged = serve(trace, PagedCache(32, 16))
    reserved = serve(trace, ReservedCache(512, 128))
    assert reserved.most_running == 4
    assert paged.most_running > 2 * reserved.most_running
    assert paged.held > 2 * reserved.held


def test_copies_are_counted():
    assert serve([Request(6, 4, samples=3)], PagedCache(20, 4)).copies == 2
    assert serve([Request(8, 4, samples=3)], PagedCache(20, 4)).copies == 0


def test_nothing_to_serve():
    served = serve([], PagedCache(4, 4))
    assert (served.steps, served.generated, served.held, served.mean_running) == (0, 0, 0, 0)


def test_what_fits_nowhere_is_refused_before_anything_runs():
    with pytest.raises(CourseError, match="memory for 24 tokens and there is room for 16"):
        serve([Request(1, 1), Request(10, 12)], PagedCache(4, 4))
    with pytest.raises(CourseError, match="memory for 32 tokens"):
        serve([Request(10, 12)], ReservedCache(16, 16))
    with pytest.raises(CourseError, match="order"):
        serve([Request(1, 1, arrival=3), Request(1, 1)], PagedCache(4, 4))
    with pytest.raises(CourseError):
        Request(0, 1)
