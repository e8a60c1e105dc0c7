"""Promises judged on figures made up for the test."""

import pytest

from courselib.engines.llamacpp.settings import LlamaCppSettings
from courselib.errors import SettingsError
from courselib.observe import advice, promise
from courselib.observe.load import Answer, Load
from courselib.observe.promise import MIB, Figures, Promise, measure

PROMISE = Promise(users=2, context=512, first_token=4, each_token=3, memory_mib=300)
GOOD = LlamaCppSettings(context=1024, parallel=2, threads=2)


def answers(count, wait, gap, error=""):
    came = (wait, wait + gap, wait + 2 * gap)
    return tuple(Answer(user, 0.0, came, error) for user in range(count))


def figures(*, wait=1.0, gap=0.25, memory=200 * MIB, failed=(), unanswered=(), settings=GOOD, users=2):
    questions = Load(answers(2, wait, gap) + tuple(unanswered), memory)
    return Figures(users, questions, Load(answers(2 - len(failed), 1.0, 0.25) + tuple(failed), memory), settings)


ALONE = Figures(1, Load(answers(1, 0.5, 0.125), None))


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr("courselib.machine.cores", lambda: 2)


def judged(**seen):
    return PROMISE.verdict(figures(**seen), ALONE)


def test_a_promise_that_is_kept_says_by_how_much():
    verdict = judged()
    assert verdict.kept and verdict.broken == []
    assert str(verdict) == (
        "Context: kept. All 2 conversations of 512 tokens were answered.\n"
        "First token: kept. p95 is 2.0 times that of one user alone; promised: at most 4 times.\n"
        "Each token: kept. p95 is 2.0 times that of one user alone; promised: at most 3 times.\n"
        "Memory: kept. 200 MiB seen at the peak; promised: at most 300 MiB.\n"
        "The promise is kept."
    )


def test_what_is_promised_exactly_is_kept():
    assert judged(wait=2.0, gap=0.375, memory=300 * MIB).kept


@pytest.mark.parametrize(
    ("seen", "clause", "words"),
    [
        ({"wait": 2.5}, "First token", "BROKEN. p95 is 5.0 times"),
        ({"gap": 0.5}, "Each token", "BROKEN. p95 is 4.0 times"),
        ({"memory": 301 * MIB}, "Memory", "BROKEN. 301 MiB seen at the peak; promised: at most 300 MiB."),
        ({"failed": answers(1, 1, 1, "too long.")}, "Context", "1 of 2 conversations of 512 tokens failed (too long)."),
    ],
)
def test_one_clause_is_broken(seen, clause, words):
    verdict = judged(**seen)
    assert verdict.broken == [clause] and not verdict.kept
    assert words in str(verdict) and str(verdict).endswith("The promise is broken.")


def test_of_questions_without_an_answer_no_time_is_good():
    verdict = judged(unanswered=[Answer(1, 0.0, error="refused")])
    assert verdict.broken == ["First token", "Each token"]
    assert "1 of 3 questions were not answered (refused)." in str(verdict)


def test_a_prediction_must_be_within_the_promise_too():
    assert PROMISE.verdict(figures(), ALONE, predicted=250 * MIB).kept
    over = PROMISE.verdict(figures(), ALONE, predicted=350 * MIB)
    assert over.broken == ["Memory"]
    assert "200 MiB seen at the peak, 350 MiB predicted" in str(over)


def test_the_memory_of_a_server_of_others_is_not_known():
    verdict = judged(memory=None)
    assert verdict.broken == ["Memory"] and "not known" in str(verdict)


def test_p95_is_of_all_questions_and_all_gaps():
    waits = [float(n) for n in range(1, 21)]
    load = Load(tuple(Answer(0, 0.0, (wait, wait + wait)) for wait in waits), 7)
    seen = Figures(1, load)
    assert seen.first_token_s == seen.each_token_s == 19.0
    assert seen.longest_pause_s == 20.0 and seen.memory_bytes == 7


@pytest.mark.parametrize("seen", [figures(users=3), Figures(2, Load(answers(2, 1, 1), 1))])
def test_figures_of_something_else_are_refused(seen):
    with pytest.raises(SettingsError, match="Measure 2 users with context=512"):
        PROMISE.verdict(seen, ALONE)
    with pytest.raises(SettingsError, match="one user alone"):
        PROMISE.verdict(figures(), Figures(1, Load(answers(1, 1, 1, "refused"), None)))


@pytest.mark.parametrize(("users", "context"), [(0, None), (1, promise.QUESTION + promise.ANSWER - 1)])
def test_a_load_that_is_none_is_refused(users, context):
    with pytest.raises(SettingsError, match="48 tokens of context or more"):
        measure(None, users=users, context=context)


def settings(**chosen):
    return LlamaCppSettings(**{"context": 2048, "parallel": 4, "threads": 2, **chosen})


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (advice.context(settings(context=1024), 4, 512), "1024 tokens shared out to 4 are 256 for each slot"),
        (advice.context(settings(context=1024, kv_unified=True), 4, 512), "all users together need 2048 tokens"),
        (advice.context(settings(context=600), 4, 512), "600 tokens shared out to 4 are 256 for each slot"),
        (advice.context(settings(), 4, 512), "read server.logs()"),
        (advice.first_token(settings(parallel=1), 4, 2), "Look at parallel: with 1 for 4 users"),
        (advice.first_token(settings(threads=8), 4, 2), "8 threads wait for each other on 2 cores"),
        (advice.first_token(settings(), 4, 2), "No setting explains it"),
        (advice.each_token(settings(threads=8), 4, 2), "Look at threads"),
        (advice.each_token(settings(parallel=8), 4, 2), "8 requests at once share a step"),
        (advice.each_token(settings(), 4, 2), "No setting explains it"),
        (advice.memory(settings(context=8192), 4, 512), "it is 8192, and 2048 tokens are enough for 4 users"),
        (advice.memory(settings(), 4, 512), "q8_0 takes about half"),
        (advice.memory(settings(cache_type_k="q8_0"), 4, 512), "Look at cache_type_k and cache_type_v"),
        (advice.memory(settings(cache_type_k="q8_0", cache_type_v="q8_0"), 4, 512), "Look at ubatch"),
        (advice.memory(settings(cache_type_k="q8_0", cache_type_v="q8_0", ubatch=64), 4, 512), "Look at the model"),
    ],
)  # fmt: skip
def test_the_setting_to_look_at(found, words):
    assert words in found


def test_nothing_is_advised_for_an_engine_that_is_not_known():
    assert {advice.context(None, 1, 1), advice.first_token(None, 1, 1), advice.each_token(None, 1, 1),
            advice.memory(None, 1, 1)} == {""}  # fmt: skip
