"""Who runs, who waits and who is refused."""

import asyncio
import contextlib
import json
import threading
import time

import httpx
import psutil
import pytest

import courselib
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


@pytest.fixture(scope="module")
def small():
    """A gateway for one request at a time, and long answers."""
    with courselib.launch("tgi-gateway", context=2048, max_concurrent_requests=1) as running:
        yield running


# Greedily the model goes on with this for as long as it may.
LONG = {"inputs": "la la la la la la la la la la", "parameters": {"max_new_tokens": 1000}}


def started(gateway, stack):
    """A stream that has begun; its lines."""
    answer = stack.enter_context(gateway.http.stream("POST", "/generate_stream", json=LONG))
    lines = answer.iter_lines()
    next(lines)
    return lines


def wait_idle(gateway):
    wait_until(lambda: not gateway.metrics().running)


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


@pytest.mark.engine
def test_a_client_that_goes_ends_its_generation(small):
    """Streamed or not: the engine is free again long before the answer could have been whole."""
    with contextlib.ExitStack() as stack:
        started(small, stack)
    wait_idle(small)
    with httpx.Client(base_url=small.url, headers=small.http.headers, timeout=0.7, trust_env=False) as hasty:
        begin = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            hasty.post("/generate", json=LONG)
        wait_idle(small)
    assert time.monotonic() - begin < 5
    assert 'err="dropped"' in small.http.get("/metrics").text


@pytest.mark.engine
def test_requests_beyond_the_slots_wait_and_are_all_answered(gateway):
    """Four at once for two slots of the shared gateway."""
    answers = []

    def ask():
        body = {"inputs": "One, two,", "parameters": {"max_new_tokens": 30}}
        answers.append(httpx.post(f"{gateway.url}/generate", json=body, headers=gateway.http.headers, timeout=60))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 4
    assert all(answer.json()["generated_text"] for answer in answers)
    assert max(int(answer.headers["x-queue-time"]) for answer in answers) > 50


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
