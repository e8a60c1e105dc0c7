"""What holds for every engine's settings, command, start and address; the engines here are small fakes."""

import shlex
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import courselib
from courselib import errors
from courselib.engines.base import Command
from courselib.engines.endpoint import Endpoint
from courselib.engines.llamacpp.settings import LlamaCppSettings
from courselib.engines.registry import all_engines, get_engine
from courselib.engines.server import Server
from tests.engines.conftest import engines_alive
from tests.local_http import serving

ENGINES = list(all_engines())
BAD = {
    "port a text": ({"port": "8080"}, "port is '8080'; give a whole number"),
    "port a fraction": ({"port": 8080.0}, "port is 8080.0"),
    "port a truth": ({"port": True}, "port is True"),
    "no host": ({"host": None}, "host is None"),
    "empty host": ({"host": ""}, "leave it out for 127.0.0.1"),
    "no model": ({"model": None}, "model is None"),
    "empty model": ({"model": ""}, "give a name"),
    "key with a line break": ({"api_key": "hidden\n"}, "without spaces or line breaks"),
    "key beyond ASCII": ({"api_key": "hiddenü"}, "visible ASCII"),
    "key a number": ({"api_key": 7}, "visible ASCII"),
}


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
@pytest.mark.parametrize("name", BAD)
def test_settings_that_every_engine_has_are_checked(engine, name):
    settings, words = BAD[name]
    with pytest.raises(errors.SettingsError, match=words) as caught:
        engine.settings_type(**settings)
    assert "hidden" not in str(caught.value)


def test_a_key_of_llama_server_has_no_comma():
    with pytest.raises(errors.SettingsError, match="comma"):
        LlamaCppSettings(api_key="a,b")


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_a_path_may_be_a_path_and_keys_are_in_no_repr(engine):
    settings = engine.settings_type(model=Path("x.gguf"), api_key="sk-hidden")
    assert settings.model == "x.gguf"
    shown = [settings, Command([], [], {"KEY": "sk-hidden"}), Endpoint("http://h", "sk-hidden", "m", "e")]
    assert "sk-hidden" not in repr(shown)


ODD = ["plain", "with space", "it's", "a$b", "ümläut [x] (1)", "semi;colon", "back\\slash", "*", "~"]


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
@pytest.mark.parametrize("word", ODD)
def test_a_command_can_be_pasted_into_a_shell(word, monkeypatch, tmp_path):
    home = tmp_path / "my home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    words = [f"{home}/{word}", word, f"--x={home}/{word}", f"{home}/"]
    line = Command([], ["A_B=0-1|2-3", f"C={home}/{word}", sys.executable, "-c", PRINT, *words]).line()
    told = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    assert told == repr(["0-1|2-3", f"{home}/{word}", *words]) + "\n"


PRINT = "import os, sys; print([os.environ['A_B'], os.environ['C'], *sys.argv[1:]])"


def test_a_path_below_home_is_shown_as_such(monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert Command([], ["run", "/home/somebody/m.gguf"]).line() == "run ~/m.gguf"


# A llama-server that is healthy at once and answers every request for a token with the status it is told.
FAKE = """
import os, sys
sys.path.insert(0, {root!r})
from http.server import ThreadingHTTPServer
from tests.local_http import Handler
port = int(sys.argv[sys.argv.index("--port") + 1])
answers = {answers!r}
def respond(method, path):
    if method == "POST":
        status, words = answers.pop(0) if len(answers) > 1 else answers[0]
        if status == 0:
            import time; time.sleep(600)
        return status, {{"error": {{"message": words}}}} if status != 200 else {{"choices": []}}
    return 200, {{"data": [{{"id": "m", "owned_by": "llamacpp"}}]}}
server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
server.respond, server.called, server.asked = respond, "llama.cpp", []
server.serve_forever()
"""


@pytest.fixture
def fake_llama(tmp_path):
    """Makes a program that can be given as ``binary``."""

    def make(*answers):
        program = tmp_path / "fake-llama-server"
        code = tmp_path / "fake.py"
        code.write_text(textwrap.dedent(FAKE).format(root=str(Path(__file__).parents[2]), answers=list(answers)))
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(code))} "$@"\n')
        program.chmod(0o755)
        return str(program)

    return make


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fakes are shell scripts")


@pytest.mark.parametrize("status", [400, 404, 422, 501])
def test_a_refused_first_token_ends_the_start_with_the_engines_words(fake_llama, status):
    before = engines_alive()
    binary = fake_llama((status, "This server does not support completions"))
    with pytest.raises(errors.RequestRefused, match=r"does not support completions\. Choose a model") as caught:
        courselib.launch(binary=binary, context=256)
    assert f"HTTP {status}" in caught.value.details
    assert engines_alive() <= before


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_first_token_that_is_put_off_is_asked_for_again(fake_llama, status):
    with courselib.launch(binary=fake_llama((status, "busy"), (200, "")), context=256) as server:
        assert server.is_running()


def test_what_the_engine_said_last_is_told_when_the_time_is_up(fake_llama):
    with pytest.raises(errors.StartTimeout) as caught:
        courselib.launch(binary=fake_llama((500, "the disk is on fire")), context=256, timeout_s=5)
    assert "the disk is on fire" in caught.value.details


def test_no_time_at_all_is_no_default(fake_llama):
    with pytest.raises(errors.StartTimeout, match="after 0 s"):
        courselib.launch(binary=fake_llama((200, "")), context=256, timeout_s=0)


def test_a_start_can_be_given_up_while_the_first_token_is_made(fake_llama):
    class Enough(Exception):
        pass

    polls = []

    def on_wait(elapsed):
        polls.append(elapsed)
        if elapsed > 3:
            raise Enough

    before = engines_alive()
    with pytest.raises(Enough):
        courselib.launch(binary=fake_llama((0, "")), context=256, on_wait=on_wait)
    assert polls[-1] < 25, "a client's own limit of 30 s did not have to pass"
    assert engines_alive() <= before


def like_llama(_method, path):
    return 200, {"data": [{"id": "m", "owned_by": "llamacpp"}]} if path.endswith("/models") else {}


@pytest.mark.parametrize("called", ["llama.cpp", "nginx"])
@pytest.mark.parametrize("path", ["", "/v1", "/user/x/proxy/8080/v1", "/llm/"])
def test_attach_keeps_the_path_of_a_server_behind_a_proxy(path, called):
    prefix = path.rstrip("/").removesuffix("/v1")

    def respond(method, asked):
        return like_llama(method, asked) if asked.startswith(prefix + "/") else (404, {})

    with serving(respond, called=called) as fake:
        server = courselib.attach(fake.url + path)
        assert (server.engine_name, server.model) == ("llama.cpp", "m")
        assert server.base_url == f"{fake.url}{prefix}/v1"
        assert server.endpoint.base_url == server.base_url
        server.stop()


def refused_as_none():
    return pytest.raises(errors.Unreachable, match=r"none of llama\.cpp, ")


# What other people's servers answer to every route.
OTHERS = {
    "a list": (200, [1, 2]),
    "a text": (200, "yes"),
    "null": (200, None),
    "models a list": (200, {"data": ["m"], "version": "1"}),
    "models nothing": (200, {"data": None, "version": "1"}),
    "a page": (200, b"<!doctype html>"),
    "not found": (404, {"detail": "no"}),
    "an error": (500, b"oops"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_attach_to_servers_of_other_kinds(name):
    with (
        serving(lambda _method, _path: OTHERS[name], called="nginx") as fake,
        refused_as_none(),
    ):
        courselib.attach(fake.url)


def test_attach_to_json_that_is_none(monkeypatch):
    from tests import local_http

    monkeypatch.setattr(local_http.json, "dumps", lambda _body: "{half")
    with (
        serving(lambda _method, _path: (200, {}), called="nginx") as fake,
        refused_as_none(),
    ):
        courselib.attach(fake.url)


@pytest.mark.parametrize("key", ["abc\n", "schlüssel", " a", 7])
def test_attach_with_a_key_that_cannot_be_one(key):
    with pytest.raises(errors.SettingsError, match="key must be visible ASCII"):
        courselib.attach("http://127.0.0.1:9", key)


def test_an_engine_of_others_that_cannot_be_loaded_is_left_out(monkeypatch):
    from courselib.engines import registry

    class Broken:
        name = "a-broken-one"

        def load(self):
            raise RuntimeError("no such library")

    points = registry.entry_points
    monkeypatch.setattr(registry, "entry_points", lambda **which: [Broken(), *points(**which)])
    with serving(like_llama, called="llama.cpp") as fake, pytest.warns(UserWarning, match="a-broken-one"):
        courselib.attach(fake.url).stop()


def test_a_server_that_is_stopped_while_another_thread_asks_it():
    begun, go_on = threading.Event(), threading.Event()

    def respond(method, path):
        if path == "/v1/models" and begun.is_set():
            go_on.wait(20)
        return like_llama(method, path)

    seen = []
    with serving(respond, called="llama.cpp") as fake:
        server = courselib.attach(fake.url)
        begun.set()

        def poll():
            for _time in range(3):
                try:
                    server.check()
                except Exception as error:
                    seen.append(error)

        thread = threading.Thread(target=poll)
        thread.start()
        while fake.asked[-1][1] != "/v1/models" or len(fake.asked) < 3:
            time.sleep(0.01)
        server.stop()
        go_on.set()
        thread.join()
        assert seen and all(isinstance(error, errors.Unreachable) for error in seen), seen
        assert "attach to the server again" in seen[-1].message
        assert not server.is_running()
        assert "http" not in server.__dict__


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (404, {"error": {"message": "File Not Found"}}, "HTTP 404: File Not Found"),
        (403, b"not for you", "HTTP 403: not for you"),
        (500, b"", "HTTP 500: Internal Server Error"),
        (200, b"<html>no page of metrics</html>", "its /metrics does not return metrics"),
    ],
)
@pytest.mark.parametrize("engine", ["llama.cpp", "tgi", "tgi-gateway", "vllm"])
def test_metrics_that_a_server_does_not_give(engine, status, body, reason):
    def respond(method, path):
        return (status, body) if path == "/metrics" else like_llama(method, path)

    with serving(respond) as fake:
        server = Server(get_engine(engine), fake.url, None)
        with pytest.raises(errors.RequestRefused) as caught:
            server.metrics()
        server.stop()
    text = f"The server at {fake.url} gives no metrics ({reason}); start it with metrics, or ask its operator."
    assert str(caught.value) == text


def test_a_server_that_wants_another_key_is_there():
    with serving(lambda _method, _path: (401, {}), called="llama.cpp") as fake:
        server = Server(ENGINES[0], fake.url, "k")
        assert server.is_running()
        server.stop()
