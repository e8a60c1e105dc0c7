"""TGI's routes of OpenAI's kind, with TGI's own meanings."""

import pytest

from courselib.gateway.openai_schema import chat_request, completion_request
from tests.gateway.conftest import data

pytestmark = pytest.mark.engine
ASKED = {"messages": [{"role": "user", "content": "What is 2+2?"}], "temperature": 0}


def test_chat(gateway, post):
    body = post("/v1/chat/completions", {**ASKED, "max_tokens": 40, "logprobs": True, "top_logprobs": 2}).json()
    assert list(body) == ["object", "id", "created", "model", "system_fingerprint", "choices", "usage"]
    assert (body["object"], body["id"], body["model"]) == ("chat.completion", "", "smollm2-135m")
    (choice,) = body["choices"]
    assert choice["finish_reason"] == "stop"
    assert "4" in choice["message"]["content"]
    assert "<|im_end|>" not in choice["message"]["content"]
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]
    told = choice["logprobs"]["content"]
    assert len(told) == body["usage"]["completion_tokens"]
    assert all(len(entry["top_logprobs"]) == 2 for entry in told)


def test_the_model_asked_for_is_the_model_told(post):
    for asked, told in (("mine", "mine"), ("tgi", "smollm2-135m"), (None, "smollm2-135m")):
        assert post("/v1/chat/completions", {**ASKED, "max_tokens": 1, "model": asked}).json()["model"] == told


def test_a_stop_string_keeps_tgis_word(post):
    body = post("/v1/chat/completions", {**ASKED, "max_tokens": 30, "stop": [" math"]}).json()
    assert body["choices"][0]["finish_reason"] == "stop_sequence"
    assert body["choices"][0]["message"]["content"].endswith(" math")


@pytest.mark.parametrize(("penalty", "meant"), [(0.5, 2.5), (0.0, 2.0), (-1.0, 1.0), (None, None)])
def test_a_presence_penalty_is_a_repetition_penalty_two_higher(penalty, meant):
    asked = chat_request(
        b'{"messages":[],"presence_penalty":%s}' % str(penalty or "null" if penalty is None else penalty).encode()
    )
    assert asked.parameters().repetition_penalty == meant


def test_the_lowest_presence_penalty_is_refused(post):
    answer = post("/v1/chat/completions", {**ASKED, "presence_penalty": -2.0})
    assert answer.status_code == 422
    assert answer.json()["error"] == "Input validation error: `repetition_penalty` must be strictly positive"


def test_temperature_0_is_greedy_and_none_samples():
    assert not chat_request(b'{"messages":[],"temperature":0}').parameters().do_sample
    assert chat_request(b'{"messages":[],"temperature":0}').parameters().temperature is None
    assert chat_request(b'{"messages":[]}').parameters().do_sample
    (request,) = completion_request(b'{"prompt":"a"}').requests()
    assert request.parameters.do_sample
    assert request.parameters.max_new_tokens == 100


TYPES = "Failed to deserialize the JSON body into the target type: "
REFUSED = [
    ('{"messages":[],"stop":"a"}', TYPES + 'stop: invalid type: string "a", expected a sequence at line 1 column 25'),
    (
        '{"messages":[],"logit_bias":{"5":1}}',
        TYPES + "logit_bias: invalid type: map, expected a sequence at line 1 column 28",
    ),
    (
        '{"messages":[],"stream_options":null}',
        TYPES + "stream_options: invalid type: null, expected struct StreamOptions at line 1 column 36",
    ),
    (
        '{"messages":[],"response_format":{"type":"json_schema","json_schema":{}}}',
        TYPES + "response_format: missing field `value` at line 1 column 72",
    ),
    ('{"max_tokens":1}', TYPES + "missing field `messages` at line 1 column 16"),
]


@pytest.mark.parametrize(("body", "text"), REFUSED)
def test_what_tgi_does_not_read(gateway, body, text):
    answer = gateway.http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.text) == (422, text)


def test_tools_are_refused(post):
    answer = post("/v1/chat/completions", {**ASKED, "tools": [{"type": "function", "function": {"name": "f"}}]})
    assert answer.status_code == 422
    assert answer.json() == {
        "error": "Tool error: tools are not supported by this gateway",
        "error_type": "tool_error",
    }


def test_completions_of_several_prompts(post):
    prompts = ["The capital of France is", "One, two, three,"]
    body = post("/v1/completions", {"prompt": prompts, "max_tokens": 2, "temperature": 0}).json()
    assert [(choice["index"], choice["finish_reason"]) for choice in body["choices"]] == [(0, "length"), (1, "length")]
    assert body["choices"][0]["text"] == " Paris."
    assert body["usage"]["completion_tokens"] == 4


def test_completions_stream(events):
    body = {"prompt": "The capital of France is", "max_tokens": 2, "temperature": 0, "stream": True}
    *frames, done = events("/v1/completions", body)
    assert done == "data: [DONE]"
    first, last = (data(frame) for frame in frames)
    assert first["choices"] == [{"index": 0, "text": " Paris", "logprobs": None, "finish_reason": ""}]
    assert last["choices"][0]["finish_reason"] == "length"
    assert last["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def test_completions_stream_of_two_prompts_ends_once(events):
    frames = events("/v1/completions", {"prompt": ["a", "b"], "max_tokens": 3, "stream": True})
    assert frames.count("data: [DONE]") == 1
    assert sorted(data(frame)["choices"][0]["index"] for frame in frames[:-1])[0] == 0
    assert sorted(data(frame)["choices"][0]["index"] for frame in frames[:-1])[-1] == 1


def test_a_streamed_completion_ends_with_tgis_own_word(events):
    prompt = "<|im_start|>user\nSay hi<|im_end|>\n<|im_start|>assistant\nHello there! How can I help you today?"
    frames = events("/v1/completions", {"prompt": prompt, "max_tokens": 5, "temperature": 0, "stream": True})
    assert data(frames[-2])["choices"][0] == {
        "index": 0, "text": "<|im_end|>", "logprobs": None, "finish_reason": "eos_token"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            {"prompt": "a", "suffix": "b"},
            {
                "error": "Suffix is not supported and can be achieved by preprocessing the prompt.",
                "error_type": "suffix not supported",
            },
        ),
        (
            {"prompt": list("abcde")},
            {
                "error": "Number of prompts exceeds the maximum allowed batch size of 4",
                "error_type": "batch size exceeded",
            },
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_completions_refused_before_a_stream_begins(post, body, error, stream):
    answer = post("/v1/completions", {**body, "stream": stream})
    assert (answer.status_code, answer.json()) == (422, error)


def test_no_prompt_at_all(post):
    answer = post("/v1/completions", {"prompt": []})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
