"""Jobs in threads: errors shown, cancel, and never a last update lost."""

import itertools
import threading

import pytest

from courselib.panels.worker import UPDATES_PER_S, Coalescer, Worker
from tests.waiting import wait_until


class Shown:
    """A value, and what of it was shown when, by the coalescer's own clock: a slow machine may come later."""

    def __init__(self):
        self.value = None
        self.history = []
        self.coalescer = Coalescer(lambda: self.history.append((self.coalescer._last, self.value)))

    def set(self, value):
        self.value = value
        self.coalescer.touch()

    def flood(self, times):
        """Set it without a pause until it has been shown so many times; returns the last value."""
        values = itertools.count(1)
        while len(self.history) < times:
            self.set(next(values))
        return self.value


def test_of_a_flood_of_updates_the_last_is_shown():
    shown = Shown()
    last = shown.flood(5)
    shown.coalescer.flush()
    assert shown.history[-1][1] == last


def test_updates_keep_their_distance():
    shown = Shown()
    shown.flood(8)
    times = [at for at, _value in shown.history]
    assert min(b - a for a, b in itertools.pairwise(times)) > 0.9 / UPDATES_PER_S


def test_the_last_update_is_shown_though_nobody_flushes():
    """A producer that stalls, as an engine does, has shown all it has made."""
    shown = Shown()
    for value in range(10):
        shown.set(value)
    wait_until(lambda: shown.history[-1][1] == 9)


def test_the_first_update_does_not_wait():
    shown = Shown()
    shown.set(1)
    assert [value for _at, value in shown.history] == [1]


def test_flush_without_news_shows_nothing():
    shown = Shown()
    shown.set(1)
    shown.coalescer.flush()
    assert len(shown.history) == 1


def test_an_update_that_fails_later_is_raised_by_the_flush():
    calls = []

    def fail_later():
        calls.append(None)
        if len(calls) == 2:
            raise ValueError("cannot be shown")

    coalescer = Coalescer(fail_later)
    coalescer.touch()
    coalescer.touch()
    wait_until(lambda: len(calls) == 2)
    with pytest.raises(ValueError, match="cannot be shown"):
        coalescer.flush()
    coalescer.flush()


def test_a_job_runs_in_another_thread_and_ends_once():
    threads, ends = [], []
    worker = Worker(on_error=pytest.fail, on_end=lambda: ends.append(None))
    assert worker.start(lambda: threads.append(threading.current_thread()))
    worker.wait(30)
    assert threads[0] is not threading.current_thread()
    assert len(ends) == 1
    assert not worker.busy


def test_an_error_is_handed_over_and_raised_by_wait():
    errors, ends = [], []
    worker = Worker(on_error=errors.append, on_end=lambda: ends.append(None))
    worker.start(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        worker.wait(30)
    assert [type(error) for error in errors] == [ZeroDivisionError]
    assert len(ends) == 1
    worker.wait(30)  # raised once
    assert worker.outcome == "failed"
    assert worker.start(lambda: None)
    worker.wait(30)  # the next job starts clean


def test_an_error_that_was_not_waited_for_is_not_raised_after_a_later_job():
    worker = Worker(on_error=lambda _error: None, on_end=lambda: None)
    worker.start(lambda: 1 / 0)
    wait_until(lambda: not worker.busy)
    worker.follow(lambda: None)
    worker.wait(30)


def test_only_one_job_runs_though_two_are_started_at_once():
    """ipykernel 7.0 to 7.3 serve two clicks in two threads."""
    release = threading.Event()
    worker = Worker(on_error=pytest.fail, on_end=lambda: None)
    started = []
    barrier = threading.Barrier(8)

    def click():
        barrier.wait()
        started.append(worker.start(lambda: release.wait(60) and None))

    clicks = [threading.Thread(target=click) for _ in range(8)]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join()
    release.set()
    worker.wait(30)
    assert sorted(started) == [False] * 7 + [True]


def test_cancel_reaches_a_job_that_looks():
    worker = Worker(on_error=pytest.fail, on_end=lambda: None)
    saw = []
    worker.start(lambda: saw.append(worker.cancelled.wait(60)))
    worker.cancel()
    worker.wait(30)
    assert saw == [True]


def test_cancel_breaks_off_what_a_job_waits_for_and_is_no_error():
    pipe_closed = threading.Event()

    def read():
        assert pipe_closed.wait(60)
        raise OSError("closed under our feet")

    errors = []
    worker = Worker(on_error=errors.append, on_end=lambda: None)
    worker.start(read, on_cancel=pipe_closed.set)
    worker.cancel()
    worker.wait(30)
    assert errors == []


def test_wait_says_when_a_job_still_runs():
    worker = Worker(on_error=pytest.fail, on_end=lambda: None)
    worker.start(lambda: worker.cancelled.wait(60) and None)
    with pytest.raises(TimeoutError):
        worker.wait(0.05)
    worker.cancel()
    worker.wait(30)


def test_jobs_that_follow_run_in_order_and_none_is_lost():
    """Clicks come at any moment, not least at the very end of what runs."""
    done, ends = [], []
    worker = Worker(on_error=pytest.fail, on_end=lambda: ends.append(None))
    for number in range(500):
        worker.follow(lambda number=number: done.append(number))
    wait_until(lambda: len(done) == 500, 30)
    worker.wait(30)
    assert done == list(range(500)) and not worker.busy and ends


def test_what_waits_is_given_up_on_cancel_and_after_an_error():
    gate, done, errors = threading.Event(), [], []
    worker = Worker(on_error=errors.append, on_end=lambda: None)
    worker.start(lambda: gate.wait(60) and None)
    worker.follow(lambda: done.append("given up"))
    worker.cancel()
    worker.follow(lambda: done.append("clicked after it"))
    gate.set()
    worker.wait(30)
    assert done == ["clicked after it"] and not errors

    gate.clear()
    worker.start(lambda: gate.wait(60) and 1 / 0)
    worker.follow(lambda: done.append("on nothing"))
    gate.set()
    with pytest.raises(ZeroDivisionError):
        worker.wait(30)
    assert done == ["clicked after it"] and not worker.busy
