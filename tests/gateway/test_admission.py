"""Who runs, who waits and who is refused."""

import asyncio
import contextlib
import json
import re
import socket
import threading
import time
from dataclasses import replace

import psutil
import pytest

import courselib
from courselib.engines.base import parse_prometheus
from courselib.gateway.__main__ import main
from courselib.gateway.admission import Admission
from courselib.gateway.errors import TgiError
from courselib.gateway.limits import Limits
from tests.waiting import wait_until

LIMITS = Limits(
    max_total_tokens=100, max_input_tokens=99, max_batch_total_tokens=100, max_batch_size=2, max_concurrent_requests=3
)


def test_one_more_than_the_limit_is_refused():
    admission = Admission(LIMITS)
    with admission.permit(), admission.permit():
        with admission.permit(), pytest.raises(TgiError, match="Model is overloaded"), admission.permit():
            pass
        with admission.permit():
            pass
    assert admission.admitted == 0


def run(tokens):
    """Let requests of these sizes in, in this order; gives who runs after each has come, and after each has gone."""

    async def scenario():
        admission = Admission(LIMITS)
        running, seen = [], []
        leave = [asyncio.Event() for _ in tokens]

        async def request(index):
            async with admission.place(tokens[index]):
                running.append(index)
                await leave[index].wait()
                running.remove(index)

        tasks = []
        for index in range(len(tokens)):
            tasks.append(asyncio.ensure_future(request(index)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        seen.append(sorted(running))
        for index, task in enumerate(tasks):
            leave[index].set()
            await task
            await asyncio.sleep(0)
            seen.append(sorted(running))
        assert (admission.running, admission.tokens, admission.waiting) == (0, 0, 0)
        return seen

    return asyncio.run(scenario())


def test_only_so_many_at_once():
    assert run([10, 10, 10]) == [[0, 1], [1, 2], [2], []]


def test_only_as_many_as_there_is_memory_for():
    assert run([60, 60]) == [[0], [1], []]


def test_nobody_overtakes():
    # The third would fit beside the first, but the second was there before it.
    assert run([60, 60, 10]) == [[0], [1, 2], [2], []]


def test_who_gives_up_waiting_leaves_no_trace():
    async def scenario():
        admission = Admission(LIMITS)
        async with admission.place(100):

            async def wait():
                async with admission.place(50):
                    pass

            task = asyncio.ensure_future(wait())
            await asyncio.sleep(0)
            assert admission.waiting == 1
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert (admission.waiting, admission.running) == (0, 1)
        assert (admission.running, admission.tokens) == (0, 0)

    asyncio.run(scenario())


WRONG = [
    ({"max_total_tokens": 101}, "`max_total_tokens` must be <= `max_batch_total_tokens`. Given: 101 and 100"),
    ({"max_input_tokens": 100}, "`max_input_tokens`(100) must be > 0 and < `max_total_tokens`(100)"),
    ({"max_input_tokens": 0}, "`max_input_tokens`(0) must be > 0 and < `max_total_tokens`(100)"),
    ({"max_batch_size": 0}, "`max_batch_size` must be > 0. Given: 0"),
    ({"max_concurrent_requests": 0}, "`max_concurrent_requests` must be > 0. Given: 0"),
]


@pytest.mark.parametrize(("change", "text"), WRONG)
def test_limits_under_which_a_request_could_wait_for_ever(change, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        replace(LIMITS, **change)


def test_such_limits_are_refused_on_the_command_line(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--model-id", "m.gguf", "--max-total-tokens", "200", "--max-batch-total-tokens", "100"])
    assert ended.value.code == 2
    assert (
        "error: `max_total_tokens` must be <= `max_batch_total_tokens`. Given: 200 and 100" in capsys.readouterr().err
    )


@pytest.fixture(scope="module")
def small():
    """A gateway for one request at a time, and long answers."""
    with courselib.launch("tgi-gateway", context=2048, max_concurrent_requests=1) as running:
        yield running


# Greedily the model goes on with this for as long as it may.
LONG = {"inputs": "la la la la la la la la la la", "parameters": {"max_new_tokens": 2000}}


def started(gateway, stack):
    """A stream that has begun; its lines."""
    answer = stack.enter_context(gateway.http.stream("POST", "/generate_stream", json=LONG))
    lines = answer.iter_lines()
    next(lines)
    return lines


def wait_idle(gateway):
    wait_until(lambda: not gateway.metrics().running, timeout_s=60)


@pytest.mark.engine
def test_overloaded(small):
    with contextlib.ExitStack() as stack:
        lines = started(small, stack)
        body = {"inputs": "a", "parameters": {"max_new_tokens": 1}}
        refused = small.http.post("/generate", json=body)
        assert refused.status_code == 429
        assert refused.json() == {"error": "Model is overloaded", "error_type": "overloaded"}
        assert "retry-after" not in refused.headers
        streamed = small.http.post("/generate_stream", json=body)
        assert streamed.status_code == 200
        assert streamed.text == 'data: {"error":"Model is overloaded","error_type":"overloaded"}\n\n'
        assert next(line for line in lines if line)  # the first goes on all the while
    wait_idle(small)
    assert small.http.post("/generate", json=body).status_code == 200


PROMPTS = {"prompt": [LONG["inputs"]], "max_tokens": 2000, "temperature": 0}
LEFT = [
    ("/generate", LONG, 1),
    ("/generate_stream", LONG, 0),
    ("/v1/completions", PROMPTS, 1),
    ("/v1/completions", {**PROMPTS, "stream": True}, 0),
]


@pytest.mark.engine
@pytest.mark.parametrize(("path", "body", "dropped"), LEFT)
def test_a_client_that_goes_ends_its_generation(small, path, body, dropped):
    """Streamed or not: the gateway has a place again, and llama.cpp has stopped before the answer was whole."""
    before, ended = counted(small), small.logs().count(ENDED_EARLY)
    leave_once_it_runs(small, path, body)
    wait_idle(small)
    wait_until(lambda: small.logs().count(ENDED_EARLY) > ended, timeout_s=60)
    assert counted(small) == (before[0], before[1] + dropped)


# In llama.cpp's words.
BEGUN, ENDED_EARLY = "processing task", "cancel task, id_task"


def counted(gateway):
    """Answers that became whole, and those not streamed whose client had gone."""
    page = gateway.http.get("/metrics").text
    dropped = re.search(r'tgi_request_failure{err="dropped"} (\d+)', page)
    return parse_prometheus(page)["tgi_request_success_total"], int(dropped[1]) if dropped else 0


def leave_once_it_runs(gateway, path, body):
    """Ask for a long answer, and hang up as soon as it is being generated."""
    sent, begun = json.dumps(body), gateway.logs().count(BEGUN)
    head = f"POST {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {gateway.key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.sendall((head + sent).encode())
        wait_until(lambda: gateway.logs().count(BEGUN) > begun, timeout_s=60)


@pytest.mark.engine
def test_a_refused_prompt_ends_the_others_of_its_request(gateway):
    """They have ended when its refusal is told: none of them runs or waits any longer."""
    wait_idle(gateway)
    prompts = [LONG["inputs"], LONG["inputs"], "word " * 600]
    refused = gateway.http.post("/v1/completions", json={"prompt": prompts, "max_tokens": 400})
    assert refused.status_code == 422
    assert (gateway.metrics().running, gateway.metrics().waiting) == (0, 0)


@pytest.mark.engine
def test_an_answer_too_many_ends_the_others_of_its_request(small):
    """Each of two counts as a request, and only one is let in."""
    body = {**LONG, "parameters": {"max_new_tokens": 2000, "best_of": 2, "do_sample": True}}
    assert small.http.post("/generate", json=body).status_code == 429
    assert not small.metrics().running
    assert small.http.post("/generate", json={"inputs": "a", "parameters": {"max_new_tokens": 1}}).status_code == 200


@pytest.mark.engine
def test_requests_beyond_the_slots_wait_and_are_all_answered():
    """The only slot is held until two more requests have been seen to wait."""
    answers = []

    def ask():
        body = {"inputs": "One, two,", "parameters": {"max_new_tokens": 3}}
        answers.append(one_slot.http.post("/generate", json=body))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    with courselib.launch("tgi-gateway", context=2048, max_batch_size=1) as one_slot:
        with contextlib.ExitStack() as stack:
            lines = started(one_slot, stack)
            for thread in threads:
                thread.start()
            wait_until(lambda: one_slot.metrics().waiting == 2, timeout_s=60)
            seen = time.monotonic()
            assert (one_slot.metrics().running, answers) == (1, [])
            waited_ms = (time.monotonic() - seen) * 1000
            assert next(line for line in lines if line)  # the first goes on all the while
        for thread in threads:
            thread.join()
    assert [answer.status_code for answer in answers] == [200] * 2
    assert all(answer.json()["generated_text"] for answer in answers)
    assert all(int(answer.headers["x-queue-time"]) >= int(waited_ms) for answer in answers)


@pytest.mark.engine
def test_the_engine_dies_within_a_stream():
    with courselib.launch("tgi-gateway", context=2048) as server:
        frames = []
        with server.http.stream("POST", "/generate_stream", json=LONG) as answer:
            for line in answer.iter_lines():
                if line and not frames:
                    (engine,) = psutil.Process(server.pid).children()
                    engine.kill()
                frames += [line] if line else []
        assert answer.status_code == 200
        last = json.loads(frames[-1].removeprefix("data: "))
        assert last["error_type"] == "generation"
        assert last["error"].startswith("Request failed during generation: ")
        sick = server.http.get("/health")
        assert (sick.status_code, sick.json()) == (503, {"error": "unhealthy", "error_type": "healthcheck"})
        refused = server.http.post("/generate", json={"inputs": "a"})
        assert (refused.status_code, refused.json()["error_type"]) == (424, "generation")
        # Like TGI's launcher, it ends when its engine has ended.
        assert server._process.returncode(wait_s=10) not in (None, 0)
        assert "has ended with exit code" in server.logs()
