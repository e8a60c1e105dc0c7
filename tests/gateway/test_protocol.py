"""Routes, keys, and what answers without a generation: asked of the live gateway."""

import httpx
import pytest

from courselib.engines.base import parse_prometheus

pytestmark = pytest.mark.engine
KEYED = ["/", "/generate", "/generate_stream", "/tokenize", "/v1/chat/completions", "/v1/completions"]
OPEN = ["/", "/health", "/ping", "/info", "/metrics", "/v1/models", "/api-doc/openapi.json"]


@pytest.fixture
def stranger(gateway):
    """A client without a key."""
    with httpx.Client(base_url=gateway.url, trust_env=False) as client:
        yield client


@pytest.mark.parametrize("path", KEYED)
def test_without_the_key_401_and_nothing_more(stranger, path):
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "wrong"}):
        answer = stranger.post(path, json={}, headers=headers)
        assert (answer.status_code, answer.content) == (401, b"")


@pytest.mark.parametrize("path", OPEN)
def test_open_to_everyone(stranger, path):
    assert stranger.get(path).status_code == 200


def test_the_key_is_compared_without_regard_to_case(gateway, stranger):
    headers = {"authorization": f"bearer {gateway.key.swapcase()}"}
    answer = stranger.post("/generate", json={"inputs": "a", "parameters": {"max_new_tokens": 1}}, headers=headers)
    assert answer.status_code == 200


def test_health_is_empty(gateway):
    for path in ("/", "/health", "/ping"):
        answer = gateway.http.get(path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_no_such_route(gateway):
    for path in ("/v1", "/nothing", "/v1/info", "/generate/"):
        answer = gateway.http.get(path)
        assert (answer.status_code, answer.content) == (404, b"")


def test_wrong_method(gateway):
    for method, path, allowed in (("GET", "/generate", {"POST"}), ("POST", "/info", {"GET", "HEAD"})):
        answer = gateway.http.request(method, path)
        assert (answer.status_code, answer.content) == (405, b"")
        assert set(answer.headers["allow"].split(", ")) == allowed
    assert gateway.http.delete("/").status_code == 405


def test_another_content_type(gateway):
    for headers in ({"content-type": "text/plain"}, {"content-type": ""}):
        answer = gateway.http.post("/generate", content=b'{"inputs":"a"}', headers=headers)
        assert (answer.status_code, answer.text) == (415, "Expected request with `Content-Type: application/json`")
    kind = {"content-type": "application/json; charset=utf-8"}
    assert gateway.http.post("/tokenize", content=b'{"inputs":"a"}', headers=kind).status_code == 200


def test_too_long(gateway):
    answer = gateway.http.post("/generate", json={"inputs": "a" * 2_000_001})
    assert (answer.status_code, answer.text) == (413, "Failed to buffer the request body: length limit exceeded")


def test_info_has_tgis_fields_and_says_what_it_is(gateway):
    told = gateway.http.get("/info").json()
    tgi = {
        "model_id": "smollm2-135m", "model_sha": None, "max_concurrent_requests": 128, "max_best_of": 2,
        "max_stop_sequences": 4, "max_input_tokens": 511, "max_total_tokens": 512, "max_client_batch_size": 4,
        "sha": None, "docker_label": None,
    }  # fmt: skip
    assert {name: told[name] for name in tgi} == tgi
    assert told["router"] != "text-generation-router"
    assert (told["gateway"], told["engine"]) == ("courselib", "llama.cpp")
    assert any(line.startswith("frequency_penalty") for line in told["differences"])
    # It has no such workers, so it tells no number of them.
    assert "validation_workers" not in told


def test_every_answer_says_that_it_is_not_tgi(gateway, stranger):
    answers = [
        gateway.http.get("/health"),
        gateway.http.get("/nothing"),
        gateway.http.delete("/generate"),
        gateway.http.post("/generate", content=b"{"),
        gateway.http.post("/generate_stream", json={"inputs": "a", "parameters": {"max_new_tokens": 1}}),
        stranger.post("/generate"),
    ]
    assert all("engine=llama.cpp" in answer.headers["x-gateway"] for answer in answers)


def test_models(gateway):
    told = gateway.http.get("/v1/models").json()
    model = {"id": "smollm2-135m", "object": "model", "created": 0, "owned_by": "smollm2-135m"}
    assert told == {"object": "list", "data": [model]}


def test_tokenize(gateway):
    tokens = gateway.http.post("/tokenize", json={"inputs": "Hi 你<|im_end|>"}).json()
    assert [(token["text"], token["start"], token["stop"]) for token in tokens] == [
        ("Hi", 0, 2), (" ", 2, 3), ("你", 3, 6), ("你", 3, 6), ("<|im_end|>", 6, 16)
    ]  # fmt: skip
    assert tokens[-1]["id"] == 2
    assert gateway.http.post("/tokenize", json={"inputs": ""}).json() == []


def test_chat_tokenize_needs_no_key(stranger):
    told = stranger.post("/chat_tokenize", json={"messages": [{"role": "user", "content": "Hi"}]}).json()
    assert told["templated_text"].endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert "".join(token["text"] for token in told["tokenize_response"]) == told["templated_text"]


def test_metrics_count_what_was_done_and_nothing_else(gateway, post):
    before = parse_prometheus(gateway.http.get("/metrics").text)
    post(max_new_tokens=3)
    post(temperature=0)
    after = parse_prometheus(gateway.http.get("/metrics").text)
    grown = {name: value - before.get(name, 0) for name, value in after.items() if value != before.get(name, 0)}
    # The parser puts _total behind counters; the page, like TGI's, does not.
    assert grown["tgi_request_count_total"] == 2
    assert grown["tgi_request_success_total"] == 1
    assert grown["tgi_request_failure_total"] == 1
    assert "_total" not in gateway.http.get("/metrics").text
    assert grown["tgi_request_generated_tokens_sum"] == 3
    assert grown["tgi_request_input_length_sum"] == 5
    assert grown["tgi_request_duration_count"] == 1
    # TGI's, which llama.cpp does not tell: no zeros.
    for absent in ("tgi_batch_inference_count", "tgi_request_skipped_tokens", "tgi_batch_next_size"):
        assert not [name for name in after if name.startswith(absent)]


def test_failures_are_counted_by_kind(gateway, post):
    post(temperature=0)
    assert 'tgi_request_failure{err="validation"}' in gateway.http.get("/metrics").text


def test_the_server_knows_its_engine(gateway):
    import courselib

    found = courselib.attach(gateway.url + "/v1", gateway.key)
    assert found.engine_name == "tgi-gateway"
    assert found.model == "smollm2-135m"
    assert gateway.metrics().generated_tokens > 0
    assert gateway.memory().kv_cache > 0
