"""Whatever is sent and whatever fails, the answer has TGI's shape and says that it is not TGI."""

import asyncio

import httpx
import hypothesis
import pytest
from hypothesis import strategies

from courselib.gateway import openapi
from courselib.gateway.app import make_app
from courselib.gateway.limits import Backend, Limits
from courselib.gateway.state import Gateway
from tests.gateway.conftest import data
from tests.gateway.nasty import objects, texts

LIMITS = Limits(max_total_tokens=100, max_input_tokens=99, max_batch_total_tokens=100)
SCHEMAS = openapi.document("0")["components"]["schemas"]
PARAMETERS = list(SCHEMAS["GenerateParameters"]["properties"])
# Bodies that would be answered, with two tokens, but for up to three fields that are added.
BODIES = {
    "/generate": objects(PARAMETERS, texts(), ['"max_new_tokens":2']).map(
        lambda parameters: '{"inputs":"a","parameters":' + parameters + "}"
    ),
    "/v1/chat/completions": objects(
        list(SCHEMAS["ChatRequest"]["properties"]),
        texts(),
        ['"messages":[{"role":"user","content":"a"}]', '"max_tokens":2'],
    ),
    "/v1/completions": objects(
        list(SCHEMAS["CompletionRequest"]["properties"]), texts(), ['"prompt":"a"', '"max_tokens":2']
    ),
}
BODIES["/"] = BODIES["/generate_stream"] = BODIES["/tokenize"] = BODIES["/generate"]
BODIES["/chat_tokenize"] = BODIES["/v1/chat/completions"]
REQUESTS = strategies.sampled_from(sorted(BODIES)).flatmap(
    lambda path: strategies.tuples(strategies.just(path), BODIES[path])
)


@pytest.mark.engine
def test_no_body_makes_it_fail(tiny):
    """Fields of every route with numbers beyond every type, halves of surrogate pairs, and deep nests."""
    seen = set()

    @hypothesis.given(REQUESTS)
    @hypothesis.settings(
        max_examples=200, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    def check(request):
        path, body = request
        answer = tiny.http.post(path, content=body.encode(), headers={"content-type": "application/json"})
        seen.add(answer.status_code)
        assert answer.status_code in (200, 400, 422)
        assert "engine=llama.cpp" in answer.headers["x-gateway"]
        if answer.headers["content-type"].startswith("text/plain"):
            assert answer.text.startswith("Failed to ")
        elif answer.status_code == 422:
            assert answer.json().keys() == {"error", "error_type"}
        assert '"internal"' not in answer.text

    check()
    assert seen == {200, 400, 422}
    assert "Traceback" not in tiny.logs()


def ask(path, body, break_down):
    """An answer of a gateway in this process, whose client of llama-server has been broken."""

    async def scenario():
        gateway = Gateway("m", "", "0", Backend(url="http://127.0.0.1:9", key="", version=""), LIMITS)
        break_down(gateway.service.llama)
        transport = httpx.ASGITransport(make_app(gateway))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            answer = await client.post(path, json=body)
        await gateway.close()
        return answer

    return asyncio.run(scenario())


def fails_itself(llama):
    async def fail(*_arguments, **_options):
        raise ZeroDivisionError("a fault of our own")

    llama.tokenize = llama.apply_template = fail


FAILED = {"error": "The gateway failed; its log has the details", "error_type": "internal"}
CHAT = {"messages": [{"role": "user", "content": "a"}]}


@pytest.mark.parametrize(
    ("path", "body"),
    [("/generate", {"inputs": "a"}), ("/tokenize", {"inputs": "a"}), ("/v1/chat/completions", CHAT),
     ("/chat_tokenize", CHAT), ("/v1/completions", {"prompt": ["a", "b"]})],
)  # fmt: skip
def test_a_fault_of_its_own_is_told_in_tgis_shape_and_logged(path, body, caplog):
    answer = ask(path, body, fails_itself)
    assert (answer.status_code, answer.json()) == (500, FAILED)
    assert "engine=llama.cpp" in answer.headers["x-gateway"]
    assert "a fault of our own" in caplog.text


def test_a_fault_of_its_own_within_a_stream(caplog):
    answer = ask("/generate_stream", {"inputs": "a"}, fails_itself)
    assert answer.status_code == 200
    assert data(answer.text.rstrip()) == FAILED
    assert "a fault of our own" in caplog.text


def test_no_engine():
    answer = ask("/generate", {"inputs": "a"}, lambda llama: None)
    assert (answer.status_code, answer.json()["error_type"]) == (424, "generation")
