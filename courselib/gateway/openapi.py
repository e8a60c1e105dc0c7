"""The published schema: TGI's routes, as this gateway answers them (OpenAPI 3.1)."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
BOOLEAN: Schema = {"type": "boolean"}
JSON, TEXT, EVENTS = "application/json", "text/plain", "text/event-stream"


def _integer(low: int, high: int | None = None) -> Schema:
    return {"type": "integer", "minimum": low, **({} if high is None else {"maximum": high})}


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


COUNT = _integer(0)
SEED = _integer(0, 2**64 - 1)
POSITIVE: Schema = {"type": "number", "exclusiveMinimum": 0}
SHARE: Schema = {**POSITIVE, "exclusiveMaximum": 1}
PENALTY: Schema = {"type": "number", "minimum": -2, "maximum": 2}
MAX_TOKENS = _integer(1, 2**32 - 1)
FINISH_REASON: Schema = {"type": "string", "enum": ["length", "eos_token", "stop_sequence"]}
HEAD = {"id": STRING, "created": COUNT, "model": STRING, "system_fingerprint": STRING}


def _requests() -> dict[str, Schema]:
    parameters = {
        "best_of": _nullable(COUNT),
        "temperature": _nullable(POSITIVE),
        "repetition_penalty": _nullable(POSITIVE),
        "frequency_penalty": _nullable(PENALTY),
        "top_k": _nullable(_integer(1, 2**31 - 1)),
        "top_p": _nullable(SHARE),
        "typical_p": _nullable(SHARE),
        "do_sample": BOOLEAN,
        "max_new_tokens": _nullable(MAX_TOKENS),
        "return_full_text": _nullable(BOOLEAN),
        "stop": _array(STRING),
        "truncate": _nullable(COUNT),
        "watermark": BOOLEAN,
        "details": BOOLEAN,
        "decoder_input_details": BOOLEAN,
        "seed": _nullable(SEED),
        "top_n_tokens": _nullable(_integer(0, 2**32 - 1)),
        "grammar": _nullable(_ref("GrammarType")),
        "adapter_id": _nullable(STRING),
    }
    kinds: Schema = {"type": "string", "enum": ["json", "json_object", "json_schema", "regex"]}
    parts = _array(_object({"type": {"type": "string", "enum": ["text"]}, "text": STRING}))
    message = _object({"role": STRING, "content": {"oneOf": [STRING, parts]}}, {"name": _nullable(STRING)})
    sampling = {
        "temperature": _nullable({"type": "number", "minimum": 0}),
        "top_p": _nullable(SHARE),
        "frequency_penalty": _nullable(PENALTY),
        "max_tokens": _nullable(MAX_TOKENS),
        "seed": _nullable(SEED),
        "stop": _nullable(_array(STRING)),
        "stream": BOOLEAN,
        "model": _nullable(STRING),
    }
    chat = {
        "presence_penalty": _nullable(PENALTY),
        "logprobs": _nullable(BOOLEAN),
        "top_logprobs": _nullable(_integer(0, 2**32 - 1)),
        "logit_bias": _nullable(_array({"type": "number"})),
        "n": _nullable(_integer(0, 2**32 - 1)),
        "tools": _nullable(_array({})),
        "tool_prompt": _nullable(STRING),
        "tool_choice": {},
        "response_format": _nullable(_ref("GrammarType")),
        "stream_options": _object({"include_usage": BOOLEAN}),
    }
    completion = {"suffix": _nullable(STRING), "repetition_penalty": _nullable(POSITIVE)}
    prompt: Schema = {"oneOf": [STRING, {**_array(STRING), "minItems": 1}]}
    return {
        "GrammarType": _object({"type": kinds, "value": {}}),
        "GenerateParameters": {"type": "object", "properties": parameters},
        "GenerateRequest": _object({"inputs": STRING}, {"parameters": _ref("GenerateParameters")}),
        "CompatGenerateRequest": _object(
            {"inputs": STRING}, {"parameters": _ref("GenerateParameters"), "stream": BOOLEAN}
        ),
        "Message": message,
        "ChatRequest": _object({"messages": _array(_ref("Message"))}, {**sampling, **chat}),
        "CompletionRequest": _object({"prompt": prompt}, {**sampling, **completion}),
    }


def _generation_answers() -> dict[str, Schema]:
    # TGI has every token's id and logprob; what llama.cpp does not tell is left out here.
    token = _object({"text": STRING, "special": BOOLEAN}, {"id": COUNT, "logprob": {"type": "number"}})
    sequence = {
        "finish_reason": FINISH_REASON,
        "generated_tokens": COUNT,
        "seed": _nullable(SEED),
        "prefill": _array(_ref("Token")),
        "tokens": _array(_ref("Token")),
    }
    top = {"top_tokens": _array(_array(_ref("Token")))}
    stream_details = {
        "finish_reason": FINISH_REASON,
        "generated_tokens": COUNT,
        "seed": _nullable(SEED),
        "input_length": COUNT,
    }
    return {
        "Token": token,
        "BestOfSequence": _object({"generated_text": STRING, **sequence}, top),
        "Details": _object(sequence, {**top, "best_of_sequences": _array(_ref("BestOfSequence"))}),
        "GenerateResponse": _object({"generated_text": STRING}, {"details": _ref("Details")}),
        "StreamDetails": _object(stream_details),
        "StreamResponse": _object(
            {"index": COUNT, "token": _ref("Token"), "generated_text": _nullable(STRING)},
            {"details": _nullable(_ref("StreamDetails")), "top_tokens": _array(_ref("Token"))},
        ),
        "ErrorResponse": _object({"error": STRING, "error_type": STRING}),
        "StreamError": _object({"error": _object({"message": STRING, "http_status_code": COUNT})}),
        "SimpleToken": _object({"id": COUNT, "text": STRING, "start": COUNT, "stop": COUNT}),
        "TokenizeResponse": _array(_ref("SimpleToken")),
        "ChatTokenizeResponse": _object({"tokenize_response": _ref("TokenizeResponse"), "templated_text": STRING}),
    }


def _openai_answers() -> dict[str, Schema]:
    usage = _object({"prompt_tokens": COUNT, "completion_tokens": COUNT, "total_tokens": COUNT})
    words = _object({"role": STRING, "content": STRING})
    logprob = _object({"token": STRING}, {"logprob": {"type": "number"}})
    logprobs = _object({"content": _array(logprob)})
    choice = {"index": COUNT, "message": words, "finish_reason": STRING, "logprobs": _nullable(logprobs)}
    delta = {"index": COUNT, "delta": words, "finish_reason": _nullable(STRING), "logprobs": _nullable(logprobs)}
    text = {"index": COUNT, "text": STRING, "finish_reason": STRING, "logprobs": {"type": "null"}}
    return {
        "Usage": usage,
        "ChatCompletion": _object(
            {"object": STRING, **HEAD, "choices": _array(_object(choice)), "usage": _ref("Usage")}
        ),
        "ChatCompletionChunk": _object(
            {"object": STRING, **HEAD, "choices": _array(_object(delta)), "usage": _nullable(_ref("Usage"))}
        ),
        "CompletionFinal": _object(
            {"object": STRING, **HEAD, "choices": _array(_object(text)), "usage": _ref("Usage")}
        ),
        "Chunk": _object({"object": STRING, **HEAD, "choices": _array(_object(text))}),
        "ModelsInfo": _object(
            {
                "object": STRING,
                "data": _array(_object({"id": STRING, "object": STRING, "created": COUNT, "owned_by": STRING})),
            }
        ),
    }


def _info() -> Schema:
    counts = ("max_concurrent_requests", "max_best_of", "max_stop_sequences", "max_client_batch_size")
    tokens = ("max_input_tokens", "max_total_tokens")
    tgi = {"model_id": STRING, **dict.fromkeys((*counts, *tokens), COUNT), "router": STRING, "version": STRING}
    unknown = {name: _nullable(STRING) for name in ("model_sha", "model_pipeline_tag", "sha", "docker_label")}
    ours = dict.fromkeys(("gateway", "protocol", "engine", "engine_version"), STRING)
    return _object({**tgi, **unknown, **ours, "differences": _array(STRING)})


def _content(kinds: dict[str, Schema]) -> Schema:
    return {"content": {kind: {"schema": schema} for kind, schema in kinds.items()}}


def _answer(description: str, **kinds: Schema) -> Schema:
    names = {"json": JSON, "text": TEXT, "events": EVENTS}
    content = _content({names[kind]: schema for kind, schema in kinds.items()}) if kinds else {}
    return {"description": description, **content}


ERROR = _ref("ErrorResponse")
EXTRACTOR = {
    "400": _answer("The body is no JSON", text=STRING),
    "413": _answer("The body is too long", text=STRING),
    "415": _answer("The body is not said to be JSON", text=STRING),
}
GENERATION = {
    "422": _answer("Another type, or what cannot be", text=STRING, json=ERROR),
    "424": _answer("The engine failed", json=ERROR),
    "429": _answer("Too many requests at once", json=ERROR),
    "500": _answer("The answer broke off, or the gateway failed", json=ERROR),
}
KEY = {"401": _answer("The key is missing or wrong")}


def _events(data: str, *, openai: bool = False) -> Schema:
    """Events, whose data is JSON of that type or an error; OpenAI's end with a word that is no JSON."""
    kinds = [_ref(data), _ref("StreamError" if openai else "ErrorResponse")]
    text = {"type": "string", "contentMediaType": JSON, "contentSchema": {"anyOf": kinds}}
    return _object({"data": {"anyOf": [text, {"const": "[DONE]"}]} if openai else text})


def _post(summary: str, request: str, answer: Schema, *, keyed: bool = True) -> Schema:
    operation: Schema = {
        "summary": summary,
        "requestBody": {"required": True, **_content({JSON: _ref(request)})},
        "responses": {"200": answer, **EXTRACTOR, **GENERATION, **(KEY if keyed else {})},
    }
    return {**operation, "security": [{"key": []}]} if keyed else operation


def _get(summary: str, answer: Schema, **others: Schema) -> Schema:
    return {"summary": summary, "responses": {"200": answer, **others}}


def document(version: str) -> Schema:
    """The schema of a gateway of that version."""
    sick = {"503": _answer("The engine cannot serve", json=ERROR)}
    health = _get("Whether the engine can serve", _answer("It can"), **sick)
    stream = _events("StreamResponse")
    whole = _answer("The answer", json=_array(_ref("GenerateResponse")), events=stream)
    chat = _answer("The answer", json=_ref("ChatCompletion"), events=_events("ChatCompletionChunk", openai=True))
    text = _answer("The answers", json=_ref("CompletionFinal"), events=_events("Chunk", openai=True))
    tokens = _answer("The tokens", json=_ref("TokenizeResponse"))
    templated = _answer("The tokens", json=_ref("ChatTokenizeResponse"))
    paths = {
        "/": {"post": _post("Generate, whole or streamed", "CompatGenerateRequest", whole), "get": health},
        "/generate": {
            "post": _post("Generate", "GenerateRequest", _answer("The answer", json=_ref("GenerateResponse")))
        },
        "/generate_stream": {
            "post": _post("Generate, an event for each token", "GenerateRequest", _answer("Events", events=stream))
        },
        "/v1/chat/completions": {"post": _post("Answer a conversation", "ChatRequest", chat)},
        "/v1/completions": {"post": _post("Continue texts", "CompletionRequest", text)},
        "/tokenize": {"post": _post("Tokens of a text", "GenerateRequest", tokens)},
        "/chat_tokenize": {"post": _post("Tokens of a conversation", "ChatRequest", templated, keyed=False)},
        "/health": {"get": health},
        "/ping": {"get": health},
        "/info": {"get": _get("What this is", _answer("What this is", json=_info()))},
        "/metrics": {"get": _get("Counters for Prometheus", _answer("Counters", text=STRING))},
        "/v1/models": {"get": _get("The model", _answer("The model", json=_ref("ModelsInfo")))},
    }
    title = "courselib's gateway: TGI's protocol, llama.cpp's engine"
    schemas = {**_requests(), **_generation_answers(), **_openai_answers()}
    key = {"type": "http", "scheme": "bearer"}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"key": key}},
    }
