"""Loads and promises on a live llama.cpp server: what holds on every machine, however fast and however busy."""

import threading
from statistics import median

import pytest

import courselib
from courselib.observe import loadtest, workload
from courselib.observe.load import Request, run_load
from courselib.observe.promise import ANSWER, MIB, QUESTIONS, Promise, measure
from courselib.observe.workload import Lengths

pytestmark = pytest.mark.engine
LOOSE = {"first_token": 1e6, "each_token": 1e6}


def test_slots_that_share_a_context_break_a_promise_and_enough_of_it_keeps_it():
    promise = Promise(users=2, context=512, memory_mib=1000, **LOOSE)
    with courselib.launch("llama.cpp", context=512) as server:
        alone = measure(server, users=1)
    assert alone.failed == () and len(alone.questions.answers) == QUESTIONS
    assert {len(answer.gaps_s) for answer in alone.questions.answers} == {ANSWER - 1}
    for context, broken in ((512, ["Context"]), (1024, [])):
        with courselib.launch("llama.cpp", context=context, parallel=2) as server:
            seen = measure(server, users=2, context=512)
            pss = server.memory_shares()[1] or server.memory().rss
        verdict = promise.verdict(seen, alone)
        assert verdict.broken == broken, str(verdict)
        assert seen.memory_bytes == pytest.approx(pss, rel=0.1)
    assert len(seen.conversations.complete) == 2


def test_a_unified_cache_that_is_too_small_breaks_conversations_and_no_question():
    with courselib.launch("llama.cpp", context=512, parallel=2, kv_unified=True) as server:
        seen = measure(server, users=2, context=512)
    assert seen.questions.failed == ()
    assert any("ontext size" in answer.error for answer in seen.conversations.failed)
    verdict = Promise(users=2, context=512, memory_mib=1000, **LOOSE).verdict(seen, seen)
    assert "all users together need 1024 tokens" in str(verdict)


def test_a_load_that_is_broken_off_leaves_the_server_ready():
    with courselib.launch("llama.cpp", context=8192) as server:
        given = []
        threading.Timer(1.0, lambda: given[0]()).start()
        load = run_load(server, [[Request((1, 2, 3), 8000)]], limit_s=250, breaks_off=given.append)
        assert [answer.error for answer in load.answers] == ["not complete when the time was over"]
        again = run_load(server, [[Request((1, 2, 3), 2)]], limit_s=250)
    assert again.failed == ()


def test_earlier_prompts_stay_in_ram_unless_cache_ram_says_no():
    """A prompt of 160 tokens takes 160 times the bytes of a token in the cache."""
    grown = {}
    for limit in (0, 8192):
        with courselib.launch("llama.cpp", context=256, cache_ram=limit) as server:
            sizes = []
            for at in range(10):
                prompt = tuple(1000 + 100 * at + step for step in range(160))
                sizes.append(run_load(server, [[Request(prompt, 1)]], limit_s=250).memory_bytes)
            grown[limit] = sizes[-1] - sizes[1]
    assert grown[8192] - grown[0] == pytest.approx(8 * 160 * 23_040, rel=0.1)
    assert grown[0] < MIB


def test_a_closed_loop_hides_the_queue_that_an_open_loop_shows_and_a_server_that_stops_loses_no_request():
    planned = workload.draw(6, prompt=Lengths(8), answer=Lengths(16))
    with courselib.launch("llama.cpp", context=256, parallel=1) as server:
        closed = loadtest.closed(server, planned, users=1)
        opened = loadtest.opened(server, planned)  # all due at once
        two = loadtest.opened(server, planned, connections=1, warm_up=0)
        for report in (closed, opened, two):
            assert len(report.complete) == 6 and not report.errors
            assert {answer.tokens for answer in report.answers} == {16}  # as llama.cpp counts them
            assert report.memory_bytes
        # The third one in a queue of six waits for two whole answers.
        assert median(opened.values("ttft")) > median(closed.values("ttft"))
        since_sent = [answer.came_s[0] - answer.sent_s for answer in two.answers]
        assert median(two.values("ttft")) > median(since_sent)
        assert max(two.values("e2e")) == pytest.approx(two.took_s)

        broken = loadtest.closed(
            server, planned, users=1, warm_up=0, progress=lambda ended, _of: server.stop() if ended == 2 else None
        )
    assert len(broken.complete) == 2 and broken.errors == {"connection": 4}
