"""Loads against a small server on this machine that answers as it is told; a live engine is in ``test_live``."""

import asyncio
import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from courselib.engines.registry import get_engine
from courselib.engines.server import Server
from courselib.errors import RequestError
from courselib.observe import load as load_module
from courselib.observe.load import Answer, Load, Request, run_load, spread

WORDS = [{"choices": [{"text": text}]} for text in ("a", "b", "c")]
END = {"choices": [{"text": "", "finish_reason": "length"}]}
TOO_LONG = {"error": {"message": "too long", "type": "exceed_context_size_error"}}


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_arguments):
        pass

    def do_GET(self):
        self.give(200, {"data": [{"id": "fake"}]})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fake = self.server.fake
        fake.asked.append(asked)
        reply = fake.reply(asked)
        if isinstance(reply, dict):
            return self.give(200 if "tokens" in reply else fake.refusal, reply)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        with contextlib.suppress(OSError):
            for event in reply:
                if event is Ellipsis:  # the answer never goes on
                    fake.began.set()
                    fake.released.wait(30)
                    return None
                if event is None:  # the stream ends before the answer does
                    return None
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")
        return None

    def give(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class FakeStreams:
    """A server whose ``reply(body)`` is a stream's events, or the JSON of a refusal.

    An event ``...`` waits for good, and ``None`` cuts the stream.
    """

    def __init__(self, reply):
        self.reply, self.asked, self.refusal = reply, [], 400
        self.began, self.released = threading.Event(), threading.Event()

    def __enter__(self):
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.fake, self._http.daemon_threads = self, True
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        self.server = Server(get_engine("llama.cpp"), f"http://127.0.0.1:{self._http.server_port}", "secret")
        return self

    def stop(self):
        """Nothing answers any more."""
        self._http.shutdown()
        self._http.server_close()

    def __exit__(self, *_exception):
        self.released.set()
        self.stop()


def users(count, each=2):
    return [[Request((user, at), 3) for at in range(each)] for user in range(count)]


def test_each_user_sends_one_request_after_the_other():
    with FakeStreams(lambda _asked: [*WORDS, END]) as fake:
        load = run_load(fake.server, users(3), limit_s=30)
    assert sorted(answer.user for answer in load.answers) == [0, 0, 1, 1, 2, 2]
    assert not load.failed
    assert {len(answer.came_s) for answer in load.answers} == {3}  # the last event has no token
    for user in range(3):
        first, second = (answer for answer in load.answers if answer.user == user)
        assert first.came_s[-1] <= second.sent_s < second.came_s[0]
    assert {tuple(asked["prompt"]) for asked in fake.asked} == {(user, at) for user in range(3) for at in range(2)}
    assert {(asked["ignore_eos"], asked["cache_prompt"], asked["max_tokens"]) for asked in fake.asked} == {
        (True, False, 3)
    }
    assert load.memory_bytes is None  # it was not started here


def test_refusals_and_streams_that_break_off_are_failures_with_their_words():
    def reply(asked):
        return [TOO_LONG, [WORDS[0], TOO_LONG], [END], [*WORDS, END]][asked["prompt"][0]]

    with FakeStreams(reply) as fake:
        load = run_load(fake.server, users(4, each=1), limit_s=30)
    errors = {answer.user: answer.error for answer in load.answers}
    assert errors == {0: "too long", 1: "too long", 2: "no token came", 3: ""}
    assert len(load.complete) == 1 and len(load.ttfts_s) == 1 and len(load.gaps_s) == 2


def test_requests_that_outlast_the_limit_are_broken_off_and_counted(monkeypatch):
    with FakeStreams(lambda _asked: [WORDS[0], ...]) as fake:
        # A clock of its own: an hour passes once the answer has stopped.
        monkeypatch.setattr(load_module, "perf_counter", lambda: 3600.0 if fake.began.is_set() else 0.0)
        load = run_load(fake.server, users(1), limit_s=100)
    [slow] = load.answers
    assert "not complete" in slow.error and load.failed == (slow,)
    assert len(fake.asked) == 1  # a user who was broken off asks nothing more


def test_a_load_is_broken_off_from_another_thread():
    with FakeStreams(lambda _asked: [WORDS[0], ...]) as fake:
        given = []
        threading.Thread(target=lambda: fake.began.wait(30) and given[0](), daemon=True).start()
        load = run_load(fake.server, users(1), limit_s=1000, breaks_off=given.append)
    assert ["not complete" in answer.error for answer in load.answers] == [True]


def test_a_load_that_is_broken_off_before_it_begins_sends_nothing():
    with FakeStreams(lambda _asked: [*WORDS, END]) as fake:
        load = run_load(fake.server, users(2), limit_s=30, breaks_off=lambda end: end())
    assert load.answers == () and fake.asked == []


def test_a_load_runs_where_an_event_loop_runs_already():
    async def cell():
        return run_load(fake.server, users(1), limit_s=30)

    with FakeStreams(lambda _asked: [*WORDS, END]) as fake:
        assert len(asyncio.run(cell()).complete) == 2


def test_a_server_that_is_not_there_is_an_error():
    with FakeStreams(lambda _asked: []) as fake:
        pass
    with pytest.raises(RequestError, match="No server answers"):
        run_load(fake.server, users(1), limit_s=30)


def test_times_of_an_answer():
    answer = Answer(0, 1.0, (1.5, 1.75, 2.75))
    assert answer.ttft_s == 0.5
    assert answer.gaps_s == (0.25, 1.0)
    assert Answer(0, 1.0).ttft_s is None
    assert Load((answer, Answer(1, 0.0, (9.0,), "broke")), None).ttfts_s == (0.5,)


def test_no_two_prompts_begin_alike():
    prompts = list(spread(range(100), 250, places=100))
    assert {len(prompt) for prompt in prompts} == {250}
    assert len({prompt[0] for prompt in prompts}) == 100
