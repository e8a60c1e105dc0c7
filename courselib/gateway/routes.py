"""The routes of TGI's own: generation, health, what it is and what it counts."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from courselib.gateway import openai_schema, openapi, schema, sse, tgi_answers
from courselib.gateway.errors import TgiError, unhealthy
from courselib.gateway.request_body import read_json, while_connected
from courselib.gateway.schema import GenerateRequest
from courselib.gateway.state import Gateway


async def generate(gateway: Gateway, request: Request) -> Response:
    """``POST /generate``: the whole answer."""
    asked = schema.generate_request(await read_json(request, gateway.limits.payload_limit))
    return await _whole(gateway, request, asked, as_list=False)


async def generate_stream(gateway: Gateway, request: Request) -> Response:
    """``POST /generate_stream``: an event for each token."""
    asked = schema.generate_request(await read_json(request, gateway.limits.payload_limit))
    return tgi_answers.event_stream(len(asked.inputs), asked.parameters, _frames(gateway, asked))


async def compat_generate(gateway: Gateway, request: Request) -> Response:
    """``POST /``: either of the two, as the body says; a whole answer is a list of one."""
    asked = schema.compat_request(await read_json(request, gateway.limits.payload_limit))
    given = asked.parameters
    if given.return_full_text is None:  # what TGI does for models whose task is text generation
        asked = replace(asked, parameters=replace(given, return_full_text=True))
    return (
        tgi_answers.event_stream(len(asked.inputs), asked.parameters, _frames(gateway, asked))
        if asked.stream
        else await _whole(gateway, request, asked, as_list=True)
    )


async def _whole(gateway: Gateway, request: Request, asked: GenerateRequest, *, as_list: bool) -> Response:
    found = await while_connected(request, gateway.service.generate(asked))
    body = tgi_answers.generate_response(asked, found)
    given = asked.parameters
    told = tgi_answers.headers(len(asked.inputs), found[:1]) | tgi_answers.warnings(given)
    return JSONResponse([body] if as_list else body, headers=told)


async def _frames(gateway: Gateway, asked: GenerateRequest) -> AsyncGenerator[bytes, None]:
    try:
        async with contextlib.aclosing(gateway.service.stream(asked)) as events:
            async for event in events:
                yield sse.frame(tgi_answers.stream_response(asked, event))
    except TgiError as error:
        yield sse.frame(error.body())


async def tokenize(gateway: Gateway, request: Request) -> Response:
    """``POST /tokenize``: the prompt's tokens, and where in it each stands, in bytes."""
    asked = schema.generate_request(await read_json(request, gateway.limits.payload_limit))
    return JSONResponse(await _encoding(gateway, asked.inputs, add_special=asked.add_special_tokens))


async def chat_tokenize(gateway: Gateway, request: Request) -> Response:
    """``POST /chat_tokenize``: a conversation as the template writes it, and its tokens."""
    asked = openai_schema.chat_request(await read_json(request, gateway.limits.payload_limit))
    openai_schema.refuse_tools(asked)
    text = await gateway.service.llama.apply_template(asked.messages)
    tokens = await _encoding(gateway, text, add_special=False)
    return JSONResponse({"tokenize_response": tokens, "templated_text": text})


async def _encoding(gateway: Gateway, text: str, *, add_special: bool) -> list[dict[str, Any]]:
    data, tokens, at = text.encode(), [], 0
    added = len(await gateway.service.llama.prefix()) if add_special else 0
    for number, piece in enumerate(await gateway.service.llama.tokenize(text, add_special=add_special)):
        # What the tokenizer adds of itself stands nowhere in the text.
        end = at + len(piece.data) if number >= added and data.startswith(piece.data, at) else at
        start, stop = _whole_characters(data, at, end)
        tokens.append({"id": piece.id, "text": data[start:stop].decode(), "start": start, "stop": stop})
        at = end
    return tokens


def _whole_characters(data: bytes, start: int, stop: int) -> tuple[int, int]:
    """The range, widened to whole characters: a token of half a character is told as standing at all of it."""
    while start < stop and data[start] & 0xC0 == 0x80:
        start -= 1
    while start < stop < len(data) and data[stop] & 0xC0 == 0x80:
        stop += 1
    return start, stop


async def health(gateway: Gateway, _request: Request) -> Response:
    """``GET /health``: empty, or why not."""
    if not await gateway.service.llama.is_healthy():
        raise unhealthy()
    return Response()


async def info(gateway: Gateway, _request: Request) -> Response:
    """``GET /info``."""
    return JSONResponse(gateway.info())


async def metrics(gateway: Gateway, _request: Request) -> Response:
    """``GET /metrics``."""
    queue = gateway.service.admission
    page = gateway.service.metrics.page(waiting=queue.waiting, running=queue.running)
    return Response(page, media_type="text/plain")


async def models(gateway: Gateway, _request: Request) -> Response:
    """``GET /v1/models``."""
    model = {"id": gateway.model_id, "object": "model", "created": 0, "owned_by": gateway.model_id}
    return JSONResponse({"object": "list", "data": [model]})


async def api_doc(gateway: Gateway, _request: Request) -> Response:
    """``GET /api-doc/openapi.json``."""
    return JSONResponse(openapi.document(gateway.version))
