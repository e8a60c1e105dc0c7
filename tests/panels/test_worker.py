"""Jobs in threads: errors shown, cancel, and never a last update lost."""

import itertools
import threading
import time

import pytest

from courselib.panels.worker import UPDATES_PER_S, Coalescer, Worker


class Shown:
    """A value, and what of it was shown when."""

    def __init__(self):
        self.value = None
        self.history = []
        self.coalescer = Coalescer(lambda: self.history.append((time.monotonic(), self.value)))

    def set(self, value):
        self.value = value
        self.coalescer.touch()


def test_a_flood_of_updates_is_thinned_and_its_last_is_shown():
    shown = Shown()
    end = time.monotonic() + 0.5
    count = 0
    while time.monotonic() < end:
        count += 1
        shown.set(count)
    shown.coalescer.flush()
    assert count > 1000
    assert shown.history[-1][1] == count
    assert 2 <= len(shown.history) <= 0.5 * UPDATES_PER_S + 3


def test_updates_keep_their_distance():
    shown = Shown()
    for value in range(400):
        shown.set(value)
        time.sleep(0.001)
    times = [at for at, _value in shown.history]
    assert min(b - a for a, b in itertools.pairwise(times)) > 0.9 / UPDATES_PER_S


def test_the_last_update_is_shown_though_nobody_flushes():
    """A producer that stalls, as an engine does, has shown all it has made."""
    shown = Shown()
    for value in range(10):
        shown.set(value)
    time.sleep(3 / UPDATES_PER_S)
    assert shown.history[-1][1] == 9


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
    time.sleep(3 / UPDATES_PER_S)
    with pytest.raises(ValueError, match="cannot be shown"):
        coalescer.flush()
    coalescer.flush()


def test_a_job_runs_in_another_thread_and_ends_once():
    threads, ends = [], []
    worker = Worker(on_error=pytest.fail, on_end=lambda: ends.append(None))
    assert worker.start(lambda: threads.append(threading.current_thread()))
    worker.wait(5)
    assert threads[0] is not threading.current_thread()
    assert len(ends) == 1
    assert not worker.busy


def test_an_error_is_handed_over_and_raised_by_wait():
    errors, ends = [], []
    worker = Worker(on_error=errors.append, on_end=lambda: ends.append(None))
    worker.start(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        worker.wait(5)
    assert [type(error) for error in errors] == [ZeroDivisionError]
    assert len(ends) == 1
    assert worker.start(lambda: None)
    worker.wait(5)  # the next job starts clean


def test_only_one_job_runs_though_two_are_started_at_once():
    """ipykernel 7.0 to 7.3 serve two clicks in two threads."""
    release = threading.Event()
    worker = Worker(on_error=pytest.fail, on_end=lambda: None)
    started = []
    barrier = threading.Barrier(8)

    def click():
        barrier.wait()
        started.append(worker.start(lambda: release.wait(5) and None))

    clicks = [threading.Thread(target=click) for _ in range(8)]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join()
    release.set()
    worker.wait(5)
    assert sorted(started) == [False] * 7 + [True]


def test_cancel_reaches_a_job_that_looks():
    worker = Worker(on_error=pytest.fail, on_end=lambda: None)
    worker.start(lambda: worker.cancelled.wait(10) and None)
    begin = time.monotonic()
    worker.cancel()
    worker.wait(5)
    assert time.monotonic() - begin < 1


def test_cancel_breaks_off_what_a_job_waits_for_and_is_no_error():
    pipe_closed = threading.Event()

    def read():
        pipe_closed.wait(10)
        raise OSError("closed under our feet")

    errors = []
    worker = Worker(on_error=errors.append, on_end=lambda: None)
    worker.start(read, on_cancel=pipe_closed.set)
    worker.cancel()
    worker.wait(5)
    assert errors == []


def test_wait_says_when_a_job_still_runs():
    worker = Worker(on_error=pytest.fail, on_end=lambda: None)
    worker.start(lambda: worker.cancelled.wait(10) and None)
    with pytest.raises(TimeoutError):
        worker.wait(0.05)
    worker.cancel()
    worker.wait(5)
