"""A request that is broken off from another thread."""

import threading

import pytest

from courselib.errors import Unreachable
from courselib.observe.logits import ask
from tests.panels.fake_llama_server import FakeLlamaServer
from tests.waiting import wait_until


def ask_in_background(server, keep):
    failed = []

    def request():
        try:
            ask(server, "/props", breaks_off=keep)
        except Unreachable as error:
            failed.append(error)

    asking = threading.Thread(target=request, daemon=True)
    asking.start()
    return asking, failed


def test_a_request_that_waits_is_broken_off():
    with FakeLlamaServer() as fake:
        server = fake.server()
        assert server.model == "fake"
        fake.held.add("/props")
        closes = []
        asking, failed = ask_in_background(server, closes.append)
        wait_until(lambda: "/props" in fake.requests)
        closes[0]()
        asking.join(20)
        assert not asking.is_alive() and len(failed) == 1


def test_what_was_broken_off_before_it_began_does_not_wait():
    with FakeLlamaServer() as fake:
        server = fake.server()
        assert server.model == "fake"
        fake.held.add("/props")
        with pytest.raises(Unreachable):
            ask(server, "/props", breaks_off=lambda close: close())
