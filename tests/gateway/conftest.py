"""One live gateway for all tests that only ask it something."""

import json

import pytest

import courselib


@pytest.fixture(scope="session")
def gateway():
    with courselib.launch("tgi-gateway", context=512, max_batch_size=2) as running:
        yield running


@pytest.fixture(scope="session")
def tiny():
    """A gateway whose answers cannot be long."""
    with courselib.launch("tgi-gateway", context=48) as running:
        yield running


@pytest.fixture(scope="session")
def post(gateway):
    """POST a body and get the response; ``inputs`` are filled in where there are none."""

    def send(path="/generate", body=None, **parameters):
        whole = {"inputs": "The capital of France is"} if body is None else body
        return gateway.http.post(path, json={**whole, "parameters": parameters} if parameters else whole)

    return send


@pytest.fixture(scope="session")
def events(gateway):
    """POST a body and get the frames of the stream as they came, without the empty lines."""

    def send(path, body):
        answer = gateway.http.post(path, json=body)
        assert answer.status_code == 200
        return answer.content.decode().split("\n\n")[:-1]

    return send


def data(frame):
    """What a frame holds."""
    assert frame.startswith("data: ")
    return json.loads(frame.removeprefix("data: "))
