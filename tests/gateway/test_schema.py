"""The published schema against the live gateway: schemathesis finds no answer that is not in it."""

import hypothesis
import jsonschema
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from courselib.gateway import openapi
from courselib.gateway.openai_schema import ChatRequest, CompletionRequest
from courselib.gateway.schema import Parameters
from tests.gateway.conftest import data

pytestmark = pytest.mark.engine
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
DOCUMENT = openapi.document("0")
OPERATIONS = [(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods]


@pytest.fixture(scope="module")
def schema(tiny):
    published = tiny.http.get("/api-doc/openapi.json").json()
    assert published["paths"].keys() == DOCUMENT["paths"].keys()
    return schemathesis.openapi.from_dict(published)


def shorten(body):
    """At most two tokens an answer: this is about answers, not about text."""
    if isinstance(body, dict):
        if isinstance(parameters := body.get("parameters", {}), dict) and "inputs" in body:
            body["parameters"] = {**parameters, **_two(parameters, "max_new_tokens")}
        if "messages" in body or "prompt" in body:
            body |= _two(body, "max_tokens")
    return body


def _two(fields, name):
    value = fields.get(name)
    return {name: 2} if value is None or (isinstance(value, int) and value > 2) else {}


def check_events(path, text):
    """What each event holds, which schemathesis takes for any text."""
    kinds = {"/v1/completions": "Chunk", "/v1/chat/completions": "ChatCompletionChunk"}
    error = "StreamError" if path in kinds else "ErrorResponse"
    names = [kinds.get(path, "StreamResponse"), error]
    known = {
        "components": DOCUMENT["components"],
        "anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in names],
    }
    *frames, rest = text.split("\n\n")
    assert rest == ""
    if path in kinds:
        assert frames.pop() == "data: [DONE]"
    for frame in frames:
        jsonschema.validate(data(frame), known)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_no_undocumented_answer(tiny, schema, path, method):
    seen = set()
    operation = schema[path][method]

    @hypothesis.given(case=operation.as_strategy())
    @hypothesis.settings(
        max_examples=15 if method == "post" else 2,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def check(case):
        case.body = shorten(case.body)
        answer = case.call(base_url=tiny.url, headers={"Authorization": f"Bearer {tiny.key}"})
        seen.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)
        if answer.headers.get("content-type", [""])[0].startswith("text/event-stream"):
            check_events(path, answer.content.decode())

    check()
    assert 200 in seen


def test_the_schema_has_every_field_that_is_read():
    schemas = DOCUMENT["components"]["schemas"]
    for name, read in (
        ("GenerateParameters", Parameters),
        ("ChatRequest", ChatRequest),
        ("CompletionRequest", CompletionRequest),
    ):
        assert schemas[name]["properties"].keys() == read.__dataclass_fields__.keys()


def test_each_documented_route_is_served_and_no_other(tiny):
    for path, methods in DOCUMENT["paths"].items():
        allowed = set(tiny.http.delete(path).headers["allow"].split(", ")) - {"HEAD"}
        assert allowed == {method.upper() for method in methods}
