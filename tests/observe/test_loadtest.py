"""Load tests: their sums against numpy and by hand, their failures against fake servers on this machine."""

import contextlib
import json
import math
import random
import threading
import time

import numpy as np
import pytest

from courselib.errors import SettingsError
from courselib.observe import loadtest, workload
from courselib.observe.load import Answer, Load, Request, run_open
from courselib.observe.percentiles import interval, percentile
from courselib.observe.seen import Seen
from courselib.observe.workload import Lengths, Planned
from tests.observe.test_load import END, WORDS, FakeStreams

BY_HAND = loadtest.Report(
    "by hand", "llama.cpp", "m", "open", 5,
    (
        Answer(0, 1.0, (1.5, 1.75, 2.0), due_s=1.0, ended_s=2.0, tokens=3),
        Answer(1, 4.0, (4.5, 5.5), due_s=2.0, ended_s=5.5, tokens=2),
        Answer(2, 3.0, (3.25,), due_s=3.0, ended_s=3.5, tokens=1),
        Answer(3, 3.5, (), "no", "HTTP 500", 3.5, 6.0),
    ),
)  # fmt: skip


def test_figures_by_hand():
    assert BY_HAND.values("ttft") == [0.5, 2.5, 0.25]
    assert BY_HAND.values("tpot") == [0.25, 1.0]  # one token has no further one
    assert BY_HAND.values("e2e") == [1.0, 3.5, 0.5]
    assert BY_HAND.late_s == 2.0  # from 2.0, when it was due, to 4.0, when it was sent
    assert BY_HAND.took_s == 5.0
    assert BY_HAND.requests_per_s == 3 / 5 and BY_HAND.tokens_per_s == 6 / 5
    assert BY_HAND.errors == {"HTTP 500": 1, "not sent": 1}
    assert len(BY_HAND.complete) + sum(BY_HAND.errors.values()) == BY_HAND.planned
    assert BY_HAND.percentile("ttft", 50) == 0.5 and BY_HAND.percentile("e2e", 95) == 3.5


def test_goodput_by_hand():
    assert BY_HAND.good() == 3
    assert BY_HAND.good(ttft=1) == 2 and BY_HAND.good(ttft=0.5, tpot=0.2) == 1
    assert BY_HAND.goodput(ttft=1) == 2 / 5
    with pytest.raises(SettingsError, match="choose one of ttft, tpot, e2e"):
        BY_HAND.good(latency=1)


def test_a_report_without_answers_has_figures():
    empty = loadtest.Report("", "llama.cpp", "m", "open", 2, ())
    assert (empty.took_s, empty.requests_per_s, empty.goodput(ttft=1), empty.percentile("ttft", 95)) == (0, 0, 0, None)
    assert empty.errors == {"not sent": 2}
    assert "failed: not sent" in str(empty)


def test_tokens_that_came_together_are_counted_as_the_server_counts_them():
    seen = Seen()
    for event in ({"choices": [{"text": "ab"}]}, {"choices": [], "usage": {"completion_tokens": 5}}, [], None):
        seen.take(event, 1.0)
    seen.close()
    assert (seen.tokens, len(seen.came_s), seen.kind) == (5, 1, "")
    assert Answer(0, 0.0, (1.0, 2.0), tokens=5).tpot_s == 0.25


@pytest.mark.parametrize("percent", [50, 90, 95, 99])
@pytest.mark.parametrize("n", [1, 2, 19, 20, 21, 100, 357])
def test_percentiles_are_numpys(n, percent):
    values = list(np.random.default_rng(n).lognormal(size=n))
    assert percentile(values, percent) == np.percentile(values, percent, method="inverted_cdf")


def test_intervals_of_a_percentile():
    """59 values for one end is well known (Wilks, 1941: 0.95 to the 59th is below 5 %); two ends take 72."""
    assert interval(range(58), 95, confidence=0.9)[1] is None
    assert interval(range(59), 95, confidence=0.9)[1] == 58
    assert interval(range(71), 95)[1] is None and interval(range(72), 95)[1] == 71
    # Ranks 40 and 61 of 100: the table of sign tests for the median.
    assert interval(range(1, 101), 50) == (40, 61)
    with pytest.raises(ValueError, match="confidence 1"):
        interval([1], 95, confidence=1)


def test_intervals_hold_the_true_percentile_as_often_as_they_say():
    source = np.random.default_rng(0)
    true = -math.log(0.05)
    held = 0
    for _run in range(1000):
        low, high = interval(list(source.exponential(size=200)), 95)
        held += low <= true <= high
    assert 0.94 < held / 1000 < 0.99


def test_arrivals_are_poisson_and_seeded():
    planned = [Planned(8, 4)] * 4000
    times = [each.due_s for each in workload.arriving(planned, per_s=5, seed=1)]
    assert times == [each.due_s for each in workload.arriving(planned, per_s=5, seed=1)]
    assert times != [each.due_s for each in workload.arriving(planned, per_s=5, seed=2)]
    gaps = np.diff([0, *times])
    assert gaps.min() > 0
    assert gaps.mean() == pytest.approx(1 / 5, rel=0.05)
    assert gaps.std() == pytest.approx(1 / 5, rel=0.05)  # of an exponential distribution, as its mean
    counts = np.bincount(np.array(times, dtype=int))[:-1]
    assert counts.var() == pytest.approx(counts.mean(), rel=0.15)


def test_lengths():
    source = random.Random(0)
    drawn = [Lengths(100, spread=0.5, low=20, high=400).draw(source) for _each in range(4000)]
    assert np.median(drawn) == pytest.approx(100, rel=0.05)
    assert np.log(drawn).std() == pytest.approx(0.5, rel=0.05)
    assert min(drawn) >= 20 and max(drawn) <= 400
    assert {Lengths(7).draw(source) for _each in range(9)} == {7}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Lengths(0), "median is 0"),
        (lambda: Lengths(5, spread=-1), "spread is -1"),
        (lambda: Lengths(5, low=9, high=8), "high is 8"),
        (lambda: workload.draw(0, prompt=Lengths(1), answer=Lengths(1)), "n is 0"),
        (lambda: workload.arriving([], per_s=0), "per_s is 0"),
    ],
)
def test_bad_workloads(make, words):
    with pytest.raises(SettingsError, match=words):
        make()


def test_a_trace(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,prompt_tokens,answer_tokens\n0,10,5\n1.5,20,1\n", encoding="utf-8")
    assert workload.read_trace(path) == (Planned(10, 5, 0.0), Planned(20, 1, 1.5))
    for line in ("x,1,1", "1,0,1", "-1,1,1", "nan,1,1", "1,1"):
        path.write_text(f"arrival_s,prompt_tokens,answer_tokens\n{line}\n", encoding="utf-8")
        with pytest.raises(SettingsError, match="Line 2"):
            workload.read_trace(path)
    path.write_text("", encoding="utf-8")
    with pytest.raises(SettingsError, match="no requests"):
        workload.read_trace(path)
    with pytest.raises(SettingsError, match="cannot be read"):
        workload.read_trace(tmp_path / "none.csv")


class FakeTokens(FakeStreams):
    """Also has llama.cpp's route for tokens."""

    def __init__(self, reply):
        super().__init__(lambda asked: {"tokens": list(range(100, 150))} if "content" in asked else reply(asked))

    @property
    def prompts(self):
        return [asked["prompt"] for asked in self.asked if "prompt" in asked]


PLANNED = [Planned(4, 3)] * 12


def accounted(report):
    return len(report.complete) + sum(report.errors.values()) == report.planned


def test_the_warm_up_is_not_counted_and_no_two_prompts_begin_alike():
    with FakeTokens(lambda _asked: [*WORDS, END]) as fake:
        seen = []
        report = loadtest.closed(fake.server, PLANNED, users=3, warm_up=2, progress=lambda *at: seen.append(at))
        assert len(report.complete) == 12 and not report.errors
        assert len(fake.prompts) == 14 and len({tuple(prompt) for prompt in fake.prompts}) == 14
        assert seen == [(at, 12) for at in range(1, 13)]
        many = workload.requests(fake.server, [Planned(2, 1)] * 1000)
    assert len({each.prompt for each in many}) == 1000


def test_an_engine_that_takes_no_ids_gets_text(monkeypatch):
    monkeypatch.setattr(workload, "TAKES_IDS", ())
    with FakeTokens(lambda _asked: [*WORDS, END]) as fake:
        loadtest.closed(fake.server, PLANNED[:1], users=1, warm_up=0)
    assert fake.prompts == ["The ferry leaves the"]


def test_a_server_that_answers_500_at_random():
    source = random.Random(3)
    failed = []

    def reply(asked):
        failed.append(source.random() < 0.3)
        return {"error": {"message": "out of luck"}} if failed[-1] else [*WORDS, END]

    with FakeTokens(reply) as fake:
        fake.refusal = 500
        report = loadtest.opened(fake.server, PLANNED, warm_up=0)
    assert any(failed) and not all(failed)
    assert report.errors == {"HTTP 500": sum(failed)}
    assert accounted(report)


def test_an_engine_that_stops_in_mid_test():
    """Its connections end in the middle of an answer, and nothing answers after that."""
    with FakeTokens(None) as fake:
        lock = threading.Lock()
        begun = []

        def reply(_asked):
            with lock:
                begun.append(1)
                if len(begun) == 5:
                    fake.stop()
            return [WORDS[0], None] if len(begun) >= 5 else [*WORDS, END]

        fake.reply = lambda asked: {"tokens": [1, 2, 3]} if "content" in asked else reply(asked)
        report = loadtest.closed(fake.server, PLANNED, users=1, warm_up=0)
    assert len(report.complete) == 4
    assert report.errors == {"cut short": 1, "connection": 7}
    assert accounted(report)


def test_a_server_whose_answer_stands_still_is_counted_and_holds_up_no_other():
    def reply(asked):
        return [WORDS[0], ...] if asked["prompt"][0] == 103 else [*WORDS, END]

    with FakeTokens(reply) as fake:
        ended = []
        report = loadtest.opened(
            fake.server, PLANNED, warm_up=0, breaks_off=ended.append,
            progress=lambda at, n: ended[-1]() if at == n - 1 else None,
        )  # fmt: skip
    assert len(report.complete) == 11 and report.errors == {"time": 1}


def test_a_slow_reader_beside_the_load_takes_nothing_from_it():
    """A client that asks and never reads; the load's own answers are complete, each of them."""
    with FakeTokens(lambda _asked: [*WORDS, END] * 20) as fake, contextlib.ExitStack() as stack:
        client = stack.enter_context(fake.server.new_client(30))
        body = {"prompt": [1], "stream": True}
        stack.enter_context(client.stream("POST", "/v1/completions", json=body))
        report = loadtest.opened(fake.server, PLANNED, warm_up=0)
    assert len(report.complete) == 12 and accounted(report)


def test_a_cancelled_test_counts_what_was_not_sent():
    planned = [Planned(4, 3, due_s=0.0), Planned(4, 3, due_s=10_000.0)]
    with FakeTokens(lambda _asked: [*WORDS, END]) as fake:
        ended = []
        report = loadtest.opened(
            fake.server, planned, warm_up=1, breaks_off=ended.append, progress=lambda *_at: ended[-1]()
        )
    assert len(report.complete) == 1 and report.errors == {"not sent": 1}


def test_one_cancelled_while_it_warms_up_has_sent_nothing():
    with FakeTokens(lambda _asked: [WORDS[0], ...]) as fake:
        given = []
        threading.Thread(target=lambda: fake.began.wait(30) and given[0](), daemon=True).start()
        report = loadtest.opened(fake.server, PLANNED, breaks_off=given.append)
    assert report.answers == () and report.errors == {"not sent": 12}


def test_waiting_in_the_client_is_part_of_the_latency():
    """One connection, and answers of a tenth of a second: the fourth request waits for three others."""

    def reply(_asked):
        time.sleep(0.1)
        return [*WORDS, END]

    with FakeTokens(reply) as fake:
        requests = [Request((at,), 3, due_s=0.0) for at in range(4)]
        load = run_open(fake.server, requests, limit_s=30, connections=1)
    last = load.answers[-1]
    assert last.late_s >= 0.3  # three answers
    assert last.ttft_s == pytest.approx(last.late_s + last.came_s[0] - last.sent_s)
    assert isinstance(load, Load) and load.unsent == 0


def test_no_request_is_sent_before_it_is_due():
    with FakeTokens(lambda _asked: [*WORDS, END]) as fake:
        load = run_open(fake.server, [Request((at,), 3, due_s=0.05 * at) for at in range(5)], limit_s=30)
    assert all(answer.sent_s >= answer.due_s == 0.05 * answer.user for answer in load.answers)


def test_a_report_is_kept_and_compared(tmp_path):
    path = tmp_path / "report.json"
    BY_HAND.save(path)
    again = loadtest.read(path)
    assert again == BY_HAND
    table = loadtest.side_by_side([BY_HAND, again])
    assert "first token p95, ms      2500     2500" in table and "failed: HTTP 500" in table
    for text in ("", "{}", "[1]", json.dumps({"format": "courselib load test 1", "answers": [{}]})):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError, match="no load test that was kept"):
            loadtest.read(path)


@pytest.mark.parametrize("users", [0, 1.5, True])
def test_bad_numbers_are_refused(users):
    with pytest.raises(SettingsError, match="users is"):
        loadtest.closed(None, PLANNED, users=users)
    with pytest.raises(SettingsError, match="connections is"):
        run_open(None, [], limit_s=1, connections=users)
