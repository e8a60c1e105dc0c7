"""Streams, byte by byte."""

import asyncio
import re

import pytest

from courselib.gateway import sse
from courselib.gateway.llama_client import read_events
from tests.gateway.conftest import data

PROMPT = "The capital of France is"


@pytest.mark.engine
def test_frames_are_tgis_to_the_byte(gateway):
    body = {"inputs": PROMPT, "parameters": {"max_new_tokens": 2, "details": True}}
    answer = gateway.http.post("/generate_stream", json=body)
    number = rb"-\d+\.\d+(?:e-\d+)?"
    expected = (
        rb'data: \{"index":1,"token":\{"id":7042,"text":" Paris","logprob":' + number + rb',"special":false\},'
        rb'"generated_text":null,"details":null\}\n\n'
        rb'data: \{"index":2,"token":\{"id":30,"text":"\.","logprob":' + number + rb',"special":false\},'
        rb'"generated_text":" Paris\.","details":\{"finish_reason":"length","generated_tokens":2,"seed":null,'
        rb'"input_length":5\}\}\n\n'
    )
    assert re.fullmatch(expected, answer.content)


@pytest.mark.engine
def test_headers_of_a_stream(gateway):
    answer = gateway.http.post("/generate_stream", json={"inputs": PROMPT, "parameters": {"max_new_tokens": 1}})
    told = {name: answer.headers.get(name) for name in ("content-type", "cache-control", "x-accel-buffering")}
    assert told == {"content-type": "text/event-stream", "cache-control": "no-cache", "x-accel-buffering": "no"}
    assert answer.headers["x-compute-characters"] == str(len(PROMPT))
    assert "x-total-time" not in answer.headers


@pytest.mark.engine
def test_details_and_top_tokens_only_where_asked_for(events):
    (frame,) = events("/generate_stream", {"inputs": PROMPT, "parameters": {"max_new_tokens": 1}})
    assert list(data(frame)) == ["index", "token", "generated_text", "details"]
    assert data(frame)["details"] is None
    (frame,) = events("/generate_stream", {"inputs": PROMPT, "parameters": {"max_new_tokens": 1, "top_n_tokens": 2}})
    assert list(data(frame)) == ["index", "token", "top_tokens", "generated_text", "details"]
    assert len(data(frame)["top_tokens"]) == 2


@pytest.mark.engine
def test_the_compatible_route_streams_when_told_to(events):
    frames = events("/", {"inputs": PROMPT, "stream": True, "parameters": {"max_new_tokens": 2}})
    assert len(frames) == 2
    assert data(frames[-1])["generated_text"] == PROMPT + " Paris."


@pytest.mark.engine
def test_chat_frames_are_tgis_to_the_byte(gateway):
    body = {"messages": [{"role": "user", "content": "Say hi"}], "max_tokens": 2, "temperature": 0, "stream": True}
    answer = gateway.http.post("/v1/chat/completions", json={**body, "stream_options": {"include_usage": True}})
    head = (
        rb'data: \{"object":"chat\.completion\.chunk","id":"","created":\d+,"model":"smollm2-135m",'
        rb'"system_fingerprint":"courselib-gateway-[^"]+",'
    )
    chunk = rb'"choices":\[\{"index":0,"delta":\{"role":"assistant","content":"[^"]*"\},"logprobs":null,'
    expected = (
        head + chunk + rb'"finish_reason":null\}\],"usage":null\}\n\n'
        + head + chunk + rb'"finish_reason":"length"\}\],"usage":null\}\n\n'
        + head + rb'"choices":\[\],"usage":\{"prompt_tokens":\d+,"completion_tokens":2,"total_tokens":\d+\}\}\n\n'
        + rb"data: \[DONE\]\n\n"
    )  # fmt: skip
    assert re.fullmatch(expected, answer.content)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/completions", {"prompt": "Hi"}),
    ],
)
def test_an_error_in_openais_streams(gateway, path, body):
    answer = gateway.http.post(path, json={**body, "top_p": 1.0, "stream": True})
    assert answer.status_code == 200
    message = "Input validation error: `top_p` must be > 0.0 and < 1.0"
    assert answer.content.decode() == (
        'data: {"error":{"message":"' + message + '","http_status_code":422}}\n\ndata: [DONE]\n\n'
    )


def test_text_is_sent_as_it_is():
    assert sse.frame({"a": 'é"\n'}) == 'data: {"a":"é\\"\\n"}\n\n'.encode()


def test_characters_that_end_a_line_elsewhere():
    """Escaped towards clients, and read as they are from the engine, in pieces of any size."""
    text = "a\x85b\u2028c\u2029d"
    assert len(sse.frame(text).decode().splitlines()) == 2
    assert data(sse.frame(text).decode().rstrip()) == text
    sent = f'data: {{"content":"{text}"}}\n\ndata: {{"content":"e"}}\n\ndata: [DONE]\n\n'

    async def parts(size):
        for at in range(0, len(raw := sent.encode()), size):
            yield raw[at : at + size]

    async def collect(size):
        return [event["content"] async for event in read_events(parts(size))]

    for size in (1, 7, 1000):
        assert asyncio.run(collect(size)) == [text, "e"]


def test_comments_keep_a_quiet_stream_alive():
    async def scenario():
        go_on = asyncio.Event()

        async def quiet():
            yield b"first"
            await go_on.wait()
            yield b"second"

        parts = []
        async for part in sse.kept_alive(quiet(), every_s=0.01):
            parts.append(part)
            if parts.count(sse.KEEP_ALIVE) == 3:
                go_on.set()
        return parts

    parts = asyncio.run(scenario())
    assert [part for part in parts if part != b":\n\n"] == [b"first", b"second"]
    assert parts.count(b":\n\n") >= 3
    assert parts[-1] == b"second"
