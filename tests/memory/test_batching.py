"""Both schedulers give every request its tokens; the one that fills slots at once keeps nobody waiting longer."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from courselib.errors import CourseError
from courselib.memory.batching import SCHEDULERS, Job, gain, schedule

JOBS = st.lists(st.builds(Job, output=st.integers(1, 20), arrival=st.integers(0, 40)), max_size=20).map(
    lambda jobs: sorted(jobs, key=lambda job: job.arrival)
)


def step_by_step(jobs, slots, scheduler):
    """The same, a step at a time: by step, who got a token, and which of them."""
    waiting, running, now = list(range(len(jobs))), {}, 0
    tokens = []
    while waiting or running:
        if scheduler == "continuous" or not running:
            while waiting and len(running) < slots and jobs[waiting[0]].arrival <= now:
                running[waiting.pop(0)] = 0
        for job in running:
            if running[job] < jobs[job].output:
                tokens.append((job, running[job], now))
                running[job] += 1
        if scheduler == "continuous":
            running = {job: done for job, done in running.items() if done < jobs[job].output}
        elif all(done == jobs[job].output for job, done in running.items()):
            running = {}
        now += 1
    return tokens


def tokens_of(found):
    return [(span.job, number, span.start + number) for span in found.spans for number in range(span.end - span.start)]


@given(JOBS, st.integers(1, 5), st.sampled_from(SCHEDULERS))
def test_it_does_in_a_moment_what_can_be_done_step_by_step(jobs, slots, scheduler):
    found = schedule(jobs, slots, scheduler)
    assert sorted(tokens_of(found)) == sorted(step_by_step(jobs, slots, scheduler))
    for slot in range(slots):
        here = sorted((span.start, span.end, span.released) for span in found.spans if span.slot == slot)
        assert all(one[2] <= other[0] for one, other in itertools.pairwise(here))
    assert all(span.slot in range(slots) for span in found.spans)


@given(JOBS, st.integers(1, 5))
def test_both_generate_the_same_tokens_and_continuous_batching_keeps_nobody_longer(jobs, slots):
    static, continuous = (schedule(jobs, slots, scheduler) for scheduler in SCHEDULERS)
    same = [sorted(token[:2] for token in tokens_of(each)) for each in (static, continuous)]
    assert same[0] == same[1]
    assert static.tokens == continuous.tokens == sum(job.output for job in jobs)
    assert all(later >= sooner >= 0 for later, sooner in zip(static.waits(), continuous.waits(), strict=True))
    assert gain(jobs, slots) >= 1


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 6))
def test_equal_lengths_gain_nothing(jobs, output, slots):
    assert gain([Job(output)] * jobs, slots) == 1.0


def test_one_slot_gains_nothing():
    assert gain([Job(3), Job(9), Job(1)], 1) == 1.0


def test_sizes_and_seconds():
    found = schedule([Job(2), Job(5), Job(1)], 2)
    assert found.batch_sizes() == [(0, 2), (3, 1), (5, 0)]
    assert found.seconds(1.0, 0.0) == found.steps == 5
    assert found.seconds(0.0, 1.0) == found.tokens == 8
    assert found.busy == pytest.approx(0.8)


def test_time_in_which_nobody_is_there_costs_nothing():
    found = schedule([Job(2), Job(3, arrival=10)], 2)
    assert found.steps == 13
    assert found.seconds(1.0, 0.0) == 5
    assert found.waits() == [0, 0]


def test_settings_are_refused_with_a_sentence():
    for wrong in (lambda: schedule([], 0), lambda: schedule([], 1, "fair"), lambda: Job(0)):
        with pytest.raises(CourseError):
            wrong()
    with pytest.raises(CourseError, match="order"):
        schedule([Job(1, 5), Job(1, 0)], 2)
    assert schedule([], 2).steps == 0
