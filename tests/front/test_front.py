"""A real HAProxy before a live llama.cpp server: each rule in force, and what happens where it is left out."""

import contextlib
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import psutil
import pytest

import courselib
from courselib.engines.registry import get_engine
from courselib.engines.server import Server
from courselib.errors import EngineMissing, SettingsError, Unreachable
from courselib.front import haproxy
from courselib.front.half import HalfRequests
from courselib.front.haproxy import Front
from courselib.front.rules import Rules, configuration
from courselib.front.tap import Tap
from courselib.processes import service
from tests.waiting import wait_until

NOTHING = Rules(paths=None, requests=None, body_bytes=None, arrive_s=None, at_once=None, waiting=None, check="tcp")
MODELS, COMPLETIONS = "/v1/models", "/v1/completions"


@pytest.fixture(scope="module")
def server(haproxy_programs):
    with courselib.launch("llama.cpp", context=2048, parallel=2) as server:
        yield server


@pytest.fixture(scope="module")
def front(server):
    """Most rules can be tried at one front: those that count have a client of their own."""
    rules = Rules(requests=20, period_s=2, arrive_s=1, body_bytes=50_000)
    with Front(server, ("ada", "bob", "eve", "long", "slow"), rules) as front:
        yield front


def completion(tokens, **more):
    """A request whose answer has so many tokens, whatever the model says."""
    return {"prompt": "Once", "max_tokens": tokens, "ignore_eos": True, "temperature": 0, **more}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"requests": 0}, "requests is 0; choose a number from 1"),
        ({"period_s": 0.5}, "period_s is 0.5; give a whole number"),
        ({"arrive_s": 0}, "arrive_s is 0; give a number of seconds from 0.05"),
        ({"check": "ping"}, "check is 'ping'; choose one of tcp, health"),
        ({"paths": ("/v1/models }",)}, "is not a path; write one like /v1/models"),
        ({"at_once": None}, "Without at_once, no request ever waits here"),
    ],
)
def test_rules_out_of_range_are_refused(wrong, words):
    with pytest.raises(SettingsError, match=words):
        Rules(**wrong)


def test_a_missing_haproxy_is_named_with_what_brings_it(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _program: None)
    with pytest.raises(EngineMissing, match="sudo apt install haproxy"):
        haproxy.find()


@pytest.mark.parametrize(
    ("url", "clients", "words"),
    [
        ("http://127.0.0.1:1/llm", ("ada",), "without a path"),
        ("https://127.0.0.1:1", ("ada",), "http://host:port"),
        ("http://127.0.0.1:1", ("Ada Lovelace",), "'Ada Lovelace' is no name"),
        ("http://127.0.0.1:1", ("ada", "ada"), "the same name"),
    ],
)
def test_what_cannot_stand_behind_a_front_is_refused(haproxy_programs, url, clients, words):
    with pytest.raises(SettingsError, match=words):
        Front(Server(get_engine("llama.cpp"), url, "key"), clients)


@pytest.mark.parametrize("rules", [Rules(), NOTHING, Rules(whole_answers=True, arrive_s=0.5)])
def test_haproxy_has_nothing_to_say_against_the_configuration(haproxy_programs, tmp_path, rules):
    program, openssl = haproxy_programs
    haproxy.make_certificate(openssl, tmp_path)
    (tmp_path / "clients.map").touch()
    text = configuration(rules, address="127.0.0.1:1", key=True, folder=str(tmp_path), port=1)
    (tmp_path / "haproxy.cfg").write_text(text)
    command = [program, "-c", "-f", "haproxy.cfg"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "WARNING" not in said, said


def test_a_rule_that_is_left_out_is_not_in_the_configuration():
    text = configuration(NOTHING, address="127.0.0.1:1", key=False, folder="/folder", port=1)
    for word in ("stick-table", "413 if", "404 if", "timeout http-request", "maxconn 4", "httpchk", "set-header"):
        assert word not in text, word
    assert "del-header Authorization" in text, "an engine never gets a client's key"


ALONE = """
import time
from courselib.engines.registry import get_engine
from courselib.engines.server import Server
from courselib.front.half import HalfRequests
from courselib.front.haproxy import Front
front = Front(Server(get_engine("llama.cpp"), "http://127.0.0.1:1", "secret"), ("ada",))
print(front.folder, front._process.pid, front.keys["ada"], flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nothing here ends a process without a word to it")
def test_a_kernel_that_is_killed_takes_haproxy_with_it_and_no_file_ever_held_a_key(haproxy_programs):
    with subprocess.Popen([sys.executable, "-c", ALONE], stdout=subprocess.PIPE, text=True) as kernel:
        folder, pid, key = kernel.stdout.readline().split()
        files = [path for path in Path(folder).iterdir() if path.is_file()]
        assert {"haproxy.cfg", "clients.map", "front.pem", "front.pem.key"} <= {path.name for path in files}
        assert not [path for path in files if key in path.read_text() or "secret" in path.read_text()]
        for name in ("clients.map", "front.pem.key"):
            assert stat.S_IMODE((Path(folder) / name).stat().st_mode) == 0o600
        kernel.kill()
    wait_until(lambda: not Path(folder).exists() and not psutil.pid_exists(int(pid)))


def test_a_port_that_another_program_has_taken_meanwhile_is_given_up(haproxy_programs, monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ports = [other.getsockname()[1], service.free_port()]
        monkeypatch.setattr(service, "free_port", lambda: ports.pop(0))
        with Front(Server(get_engine("llama.cpp"), "http://127.0.0.1:1", None), ("ada",)) as front:
            assert front.client("ada").get("/metrics").status_code == 404 and ports == []
    with pytest.raises(Unreachable, match="may have been stopped"):
        front.state()


@pytest.mark.engine
def test_each_client_has_a_key_and_none_has_the_engines(server, front):
    assert front.client("ada").get(MODELS).status_code == 200
    for key in (server.key, "wrong", "x" * 5000):
        answer = httpx.get(front.url + MODELS, headers={"Authorization": f"Bearer {key}"}, verify=front.trust)
        assert answer.status_code == 401, key
        assert "key is missing or wrong" in answer.json()["error"]["message"]
    assert front.client(None).get(MODELS).status_code == 401
    direct = httpx.get(server.url + MODELS, headers={"Authorization": f"Bearer {front.keys['ada']}"}, trust_env=False)
    assert direct.status_code == 401
    with pytest.raises(SettingsError, match="no client 'carl'; there are ada, bob"):
        front.client("carl")
    front.revoke("eve")
    assert [front.client(name).get(MODELS).status_code for name in ("eve", "bob")] == [401, 200]
    assert "bob GET /v1/models 200" in front.logs()


@pytest.mark.engine
def test_an_eavesdropper_reads_http_and_not_tls(server, front):
    with Tap(server.url) as plain, Tap(front.url) as secret:
        headers = {"Authorization": f"Bearer {server.key}"}
        body = completion(1, prompt="my salary")
        assert httpx.post(plain.url + COMPLETIONS, headers=headers, json=body, trust_env=False).status_code == 200
        headers = {"Authorization": f"Bearer {front.keys['ada']}"}
        answer = httpx.post(secret.url + COMPLETIONS, headers=headers, json=body, verify=front.trust, trust_env=False)
        assert answer.status_code == 200
    assert server.key.encode() in plain.seen and b"my salary" in plain.seen
    assert len(secret.seen) > 500 and b"Bearer" not in secret.seen and b"my salary" not in secret.seen
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(front.url, trust_env=False)
    strict = front.trust
    strict.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    assert httpx.get(front.url, verify=strict, trust_env=False).status_code == 404


@pytest.mark.engine
def test_what_clients_need_not_see_is_shut_however_it_is_spelled(server, front):
    paths = ["/metrics", "/%6detrics", "//metrics", "/v1/../metrics", "/slots", "/props", "/v1/models/"]
    client = front.client("ada")
    assert [client.get(front.url + path).status_code for path in paths] == [404] * len(paths)
    with Front(server, ("ada",), NOTHING) as bare:
        opened = [bare.client("ada").get(path).status_code for path in ("/metrics", "/%6detrics", "/props")]
    assert opened == [200] * 3


@pytest.mark.engine
def test_a_client_that_asks_too_often_waits_and_another_does_not(server):
    with Front(server, rules=Rules(requests=3, period_s=2)) as front:
        bob = front.client("bob")
        answers = [bob.get(MODELS) for _ in range(20)]
        refused = [each for each in answers if each.status_code == 429]
        assert refused and {each.status_code for each in answers} == {200, 429}
        assert refused[0].headers["Retry-After"] == "2"
        assert front.client("ada").get(MODELS).status_code == 200
        while bob.get(MODELS).status_code != 429:
            pass
        with pytest.raises(openai.RateLimitError, match="Too many requests"):
            front.openai("bob", max_retries=0).models.list()
        assert front.openai("bob", max_retries=2).models.list().data, "it waits as it is asked to"


@pytest.mark.engine
def test_a_body_that_is_too_long_never_reaches_the_engine(server, front):
    before = server.metrics().prompt_tokens
    client = front.client("long")
    assert client.post(COMPLETIONS, json=completion(1, prompt="a " * 100_000)).status_code == 413
    assert client.post(COMPLETIONS, content=iter([b"{}"])).status_code == 413, "a body of a length that is not given"
    assert server.metrics().prompt_tokens == before
    assert client.post(COMPLETIONS, json=completion(1)).status_code == 200
    direct = server.http.post(COMPLETIONS, json=completion(1, prompt="a " * 100_000))
    assert direct.status_code == 400 and "exceed" in direct.text, "the engine counts the tokens first"


@pytest.mark.engine
def test_requests_that_never_end_are_kept_by_an_engine_and_ended_by_the_front(server, front):
    with HalfRequests(server.url, 8) as slow:
        assert slow.closed(within_s=1) == 0
    wait_until(lambda: httpx.get(server.url + "/health", trust_env=False).status_code == 200)
    with HalfRequests(front.url, 64, front.trust) as slow:
        assert front.client("slow").get(MODELS).status_code == 200
        assert slow.closed(within_s=60) == 64
    assert " 408 " in front.logs()


@pytest.mark.engine
def test_a_limit_of_silence_cuts_a_whole_answer_and_not_a_stream(server):
    began = time.monotonic()
    assert server.http.post(COMPLETIONS, json=completion(40)).status_code == 200
    silence = max((time.monotonic() - began) / 2, 0.05)
    with Front(server, ("ada",), Rules(silence_s=silence, requests=None)) as front:
        client = front.client("ada")
        assert client.post(COMPLETIONS, json=completion(80)).status_code == 504
        # A neighbour may take the processor for so long that an engine really is silent.
        assert any(read_stream(client, 80)[0] >= 79 for _ in range(3))


def read_stream(client, tokens):
    """How many pieces of an answer came, and the share of its time after which the first one did."""
    began, pieces, first = time.monotonic(), 0, None
    with (
        contextlib.suppress(httpx.RemoteProtocolError),
        client.stream("POST", COMPLETIONS, json=completion(tokens, stream=True)) as answer,
    ):
        for line in answer.iter_lines():
            if '"finish_reason":null' in line.replace(" ", ""):
                first = first or time.monotonic() - began
                pieces += 1
    return pieces, (first or 0) / (time.monotonic() - began)


@pytest.mark.engine
def test_a_stream_passes_as_it_comes_and_a_buffer_holds_it_back(server, front):
    _pieces, share = read_stream(front.client("ada"), 40)
    with Front(server, ("ada",), Rules(whole_answers=True)) as slow:
        pieces, held_back = read_stream(slow.client("ada"), 40)
    assert pieces >= 39 and share < 0.7 < 0.9 < held_back


@pytest.mark.engine
def test_an_engine_stops_when_the_client_has_gone(server, front):
    """Of a stream, that is: llama.cpp computes an answer that is not streamed to its end, with a front or without."""
    before = server.metrics().generated_tokens
    body = completion(1000, stream=True)
    with front.client("ada").stream("POST", COMPLETIONS, json=body) as answer:
        next(answer.iter_lines())
    wait_until(lambda: server.metrics().running == 0)
    assert server.metrics().generated_tokens - before < 1000


@pytest.mark.engine
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="no process can be frozen here")
def test_a_frozen_engine_is_found_by_its_health_and_not_by_its_port(server, front):
    with Front(server, ("ada",), NOTHING) as bare:
        engine = psutil.Process(server.pid)
        engine.suspend()
        try:
            wait_until(lambda: front.state() == "DOWN")
            answer = front.client("ada").get(MODELS)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
            assert bare.state() == "UP"
            with pytest.raises(httpx.ReadTimeout):
                bare.client("ada", timeout_s=0.5).get(MODELS)
        finally:
            engine.resume()
    wait_until(lambda: front.state() == "UP")
    wait_until(lambda: front.client("ada").get(MODELS).status_code == 200)


@pytest.mark.engine
def test_who_would_wait_too_long_is_refused_at_once(server):
    with Front(server, ("ada",), Rules(at_once=1, waiting=1)) as front, ThreadPoolExecutor(6) as pool:
        together = threading.Barrier(6)

        def ask(_number):
            client = front.client("ada")
            together.wait(60)
            return client.post(COMPLETIONS, json=completion(60)).status_code

        statuses = sorted(pool.map(ask, range(6)))
    assert statuses[0] == 200 and statuses[-1] == 503 and set(statuses) == {200, 503}
