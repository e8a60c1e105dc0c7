"""The requests that TGI's clients send, by the clients themselves."""

import json
import subprocess

import huggingface_hub
import openai
import pytest

pytestmark = pytest.mark.engine
PROMPT = "The capital of France is"
MESSAGES = [{"role": "user", "content": "What is 2+2?"}]


@pytest.fixture(scope="module")
def hub(gateway):
    return gateway.hub()


def test_hub_text(hub):
    # Without return_full_text TGI answers with the prompt before the answer.
    assert hub.text_generation(PROMPT, max_new_tokens=2) == PROMPT + " Paris."
    assert hub.text_generation(PROMPT, max_new_tokens=2, return_full_text=False) == " Paris."


def test_hub_details(hub):
    answer = hub.text_generation(
        PROMPT, max_new_tokens=20, stop=["Paris"], details=True, top_n_tokens=2, return_full_text=False
    )
    assert answer.generated_text == " Paris"
    assert answer.details.finish_reason == "stop_sequence"
    assert answer.details.tokens[0].logprob < 0
    assert len(answer.details.top_tokens[0]) == 2


def test_hub_stream(hub):
    tokens = list(hub.text_generation(PROMPT, max_new_tokens=3, stream=True))
    assert "".join(tokens).startswith(" Paris.")
    *_, last = hub.text_generation(PROMPT, max_new_tokens=3, stream=True, details=True)
    assert last.details.finish_reason == "length"
    assert last.details.input_length == 5


def test_hub_at_each_address(gateway):
    for path, expected in (("/", PROMPT + " Paris."), ("/generate", " Paris.")):
        client = huggingface_hub.InferenceClient(model=gateway.url + path, token=gateway.key)
        assert client.text_generation(PROMPT, max_new_tokens=2) == expected
    wrong = huggingface_hub.InferenceClient(model=gateway.url + "/v1", token=gateway.key)
    with pytest.raises(huggingface_hub.errors.HfHubHTTPError, match="404"):
        wrong.text_generation(PROMPT)


def test_hub_errors(hub):
    with pytest.raises(huggingface_hub.errors.ValidationError, match="`temperature` must be strictly positive"):
        hub.text_generation(PROMPT, temperature=0.0)
    with pytest.raises(huggingface_hub.errors.ValidationError, match="when streaming tokens"):
        list(hub.text_generation(PROMPT, details=True, decoder_input_details=True, stream=True))


def test_hub_chat(hub):
    answer = hub.chat_completion(MESSAGES, max_tokens=30, temperature=0)
    assert "4" in answer.choices[0].message.content
    assert answer.model == "dummy"
    parts = list(hub.chat_completion(MESSAGES, max_tokens=4, temperature=0, stream=True))
    assert "".join(part.choices[0].delta.content for part in parts)
    assert parts[-1].choices[0].finish_reason == "length"


def test_hub_json(hub):
    number = {"n": {"type": "integer", "maximum": 9}}
    # Closed: to an open object the model adds properties until its tokens are spent.
    schema = {"type": "object", "properties": number, "required": ["n"], "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "number", "schema": schema}}
    answer = hub.chat_completion(MESSAGES, max_tokens=30, temperature=0, response_format=form)
    assert isinstance(json.loads(answer.choices[0].message.content)["n"], int)


def test_hub_info(gateway):
    client = huggingface_hub.InferenceClient(model=gateway.url, token=gateway.key, provider="hf-inference")
    assert client.get_endpoint_info()["gateway"] == "courselib"
    assert client.health_check()


def test_openai_chat(gateway):
    client = gateway.openai()
    answer = client.chat.completions.create(
        model="tgi", messages=MESSAGES, max_tokens=30, temperature=0, logprobs=True, top_logprobs=2
    )
    assert "4" in answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.system_fingerprint.startswith("courselib-gateway")
    assert len(answer.choices[0].logprobs.content[0].top_logprobs) == 2
    parts = list(
        client.chat.completions.create(
            model="tgi", messages=MESSAGES, max_tokens=3, stream=True, stream_options={"include_usage": True}
        )
    )
    assert parts[-1].usage.completion_tokens == 3
    assert parts[-2].choices[0].finish_reason == "length"


def test_openai_completions(gateway):
    client = gateway.openai()
    answer = client.completions.create(model="tgi", prompt=PROMPT, max_tokens=2, temperature=0)
    assert (answer.choices[0].text, answer.usage.completion_tokens) == (" Paris.", 2)
    parts = client.completions.create(model="tgi", prompt=PROMPT, max_tokens=2, temperature=0, stream=True)
    assert "".join(part.choices[0].text for part in parts) == " Paris."
    assert [model.id for model in client.models.list()] == ["smollm2-135m"]


def test_openai_errors(gateway):
    client = gateway.openai(max_retries=0)
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.chat.completions.create(model="tgi", messages=MESSAGES, top_p=1.0)
    assert "`top_p` must be" in refused.value.response.json()["error"]
    with pytest.raises(openai.APIError, match="`top_p` must be"):
        list(client.chat.completions.create(model="tgi", messages=MESSAGES, top_p=1.0, stream=True))
    with pytest.raises(openai.AuthenticationError):
        gateway.openai(api_key="wrong").chat.completions.create(model="tgi", messages=MESSAGES)


# text_generation 0.7.0 wants an older huggingface_hub than the course has, so it cannot be installed beside it: what it
# sends was recorded from it. What it reads: an id for each token, a logprob or none (pydantic models in its types.py).
RECORDED = {
    "inputs": PROMPT,
    "parameters": {
        "do_sample": False, "max_new_tokens": 5, "repetition_penalty": 1.1, "frequency_penalty": None,
        "return_full_text": False, "stop": [], "seed": None, "temperature": 0.8, "top_k": 50, "top_p": 0.95,
        "truncate": None, "typical_p": None, "best_of": None, "watermark": False, "details": True,
        "decoder_input_details": False, "top_n_tokens": None, "grammar": None,
    },
    "stream": False,
}  # fmt: skip


def test_text_generation_client_as_recorded(gateway):
    answer = gateway.http.post("/", json=RECORDED)
    (body,) = answer.json()
    assert 1 <= body["details"]["generated_tokens"] <= 5  # it may end by chance
    for token in body["details"]["tokens"]:
        assert isinstance(token["id"], int)
        assert isinstance(token.get("logprob", 0.0), float)
    assert body["details"]["seed"] is not None
    streamed = gateway.http.post("/", json={**RECORDED, "stream": True}).text
    assert 1 <= streamed.count("data: ") <= 5
    assert '"finish_reason"' in streamed


def test_text_generation_client_chat_as_recorded(gateway):
    names = (
        "frequency_penalty logit_bias logprobs top_logprobs max_tokens n presence_penalty stop seed temperature top_p"
    )
    body = {"model": "tgi", "messages": MESSAGES, "stream": False, "tools": None, "tool_choice": None}
    body |= dict.fromkeys(names.split()) | {"max_tokens": 3}
    assert gateway.http.post("/v1/chat/completions", json=body).json()["usage"]["completion_tokens"] == 3


def test_curl(gateway):
    body = json.dumps({"inputs": PROMPT, "parameters": {"max_new_tokens": 2}})
    asked = ["-X", "POST", "-d", body, "-H", "Content-Type: application/json"]
    key = ["-H", f"Authorization: Bearer {gateway.key}"]
    whole = subprocess.run(
        ["curl", "-sS", f"{gateway.url}/generate", *asked, *key], capture_output=True, text=True, check=True, timeout=30
    )
    assert json.loads(whole.stdout) == {"generated_text": " Paris."}
    stream = subprocess.run(
        ["curl", "-sSN", f"{gateway.url}/generate_stream", *asked, *key],
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert stream.stdout.count("data: {") == 2
    bare = subprocess.run(
        ["curl", "-sS", f"{gateway.url}/generate", "-d", body, *key], capture_output=True, text=True, check=True
    )
    assert bare.stdout == "Expected request with `Content-Type: application/json`"
