"""TGI's routes of OpenAI's kind, and how their answers and streams look."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from courselib.gateway import openai_schema, sse, tgi_answers
from courselib.gateway.answer import Answer, Event
from courselib.gateway.errors import TgiError
from courselib.gateway.generation import Token
from courselib.gateway.openai_schema import ChatRequest, CompletionRequest
from courselib.gateway.request_body import read_json, while_connected
from courselib.gateway.schema import GenerateRequest
from courselib.gateway.state import Gateway
from courselib.gateway.tasks import together

# TGI's words and OpenAI's; a stop string keeps TGI's, as it does there.
FINISH = {"eos_token": "stop"}


async def chat_completions(gateway: Gateway, request: Request) -> Response:
    """``POST /v1/chat/completions``."""
    asked = openai_schema.chat_request(await read_json(request, gateway.limits.payload_limit))
    openai_schema.refuse_tools(asked)
    # The template's own complaints come before a stream begins.
    try:
        inputs = await gateway.service.llama.apply_template(asked.messages)
    except TgiError:
        gateway.service.metrics.count("tgi_request_failure", err="template")
        raise
    generate = GenerateRequest(inputs=inputs, parameters=asked.parameters(), add_special_tokens=False)
    if asked.stream:
        return tgi_answers.event_stream(len(inputs), generate.parameters, _chat_frames(gateway, asked, generate))
    found = await while_connected(request, gateway.service.generate(generate))
    body = _chat_answer(gateway, asked, found[0])
    return JSONResponse(
        body, headers=tgi_answers.headers(len(inputs), found) | tgi_answers.warnings(generate.parameters)
    )


def _head(gateway: Gateway, kind: str, model: str | None) -> dict[str, Any]:
    name = gateway.model_id if model in (None, "tgi") else model
    head = {"object": kind, "id": "", "created": int(time.time()), "model": name}
    return {**head, "system_fingerprint": gateway.fingerprint}


def _usage(found: list[Answer]) -> dict[str, int]:
    prompt = sum(answer.input_length for answer in found)
    completion = sum(answer.generated_tokens for answer in found)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _chat_answer(gateway: Gateway, asked: ChatRequest, answer: Answer) -> dict[str, Any]:
    reason = answer.generation.finish_reason
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": answer.generation.text},
        "logprobs": _logprobs(answer.generation.tokens) if asked.logprobs else None,
        "finish_reason": FINISH.get(reason, reason),
    }
    return {**_head(gateway, "chat.completion", asked.model), "choices": [choice], "usage": _usage([answer])}


def _logprobs(tokens: list[Token]) -> dict[str, Any]:
    def told(token: Token) -> dict[str, Any]:
        return {"token": token.text} | ({} if token.logprob is None else {"logprob": token.logprob})

    return {"content": [{**told(token), "top_logprobs": [told(other) for other in token.top]} for token in tokens]}


def _chat_chunk(gateway: Gateway, asked: ChatRequest, token: Token) -> dict[str, Any]:
    reason = token.finish_reason
    choice = {
        "index": 0,
        "delta": {"role": "assistant", "content": "" if token.special else token.text},
        "logprobs": _logprobs([token]) if asked.logprobs else None,
        "finish_reason": FINISH.get(reason, reason) if reason else None,
    }
    return {**_head(gateway, "chat.completion.chunk", asked.model), "choices": [choice], "usage": None}


async def _chat_frames(gateway: Gateway, asked: ChatRequest, generate: GenerateRequest) -> AsyncGenerator[bytes, None]:
    answer = None
    try:
        async with contextlib.aclosing(gateway.service.stream(generate)) as events:
            async for event in events:
                answer = event.answer
                yield sse.frame(_chat_chunk(gateway, asked, event.token))
        if asked.include_usage and answer:
            head = _head(gateway, "chat.completion.chunk", asked.model)
            yield sse.frame({**head, "choices": [], "usage": _usage([answer])})
    except TgiError as error:
        yield _error_frame(error)
    yield sse.DONE


def _error_frame(error: TgiError) -> bytes:
    # 422 whatever it was, as TGI does.
    return sse.frame({"error": {"message": error.message, "http_status_code": 422}})


async def completions(gateway: Gateway, request: Request) -> Response:
    """``POST /v1/completions``: an answer for each prompt."""
    asked = openai_schema.completion_request(await read_json(request, gateway.limits.payload_limit))
    _check_completion(asked, gateway.limits.max_client_batch_size)
    requests = asked.requests()
    characters = sum(len(prompt) for prompt in asked.prompt)
    if asked.stream:
        return tgi_answers.event_stream(
            characters, requests[0].parameters, _completion_frames(gateway, asked, requests)
        )
    all_of_them = together(gateway.service.generate(each) for each in requests)
    found = [group[0] for group in await while_connected(request, all_of_them)]
    choices = [_completion_choice(index, answer) for index, answer in enumerate(found)]
    head = _head(gateway, "text_completion", asked.model)
    body = {**head, "choices": choices, "usage": _usage(found)}
    return JSONResponse(
        body, headers=tgi_answers.headers(characters, found) | tgi_answers.warnings(requests[0].parameters)
    )


def _check_completion(asked: CompletionRequest, most: int) -> None:
    if asked.suffix is not None:
        raise TgiError(
            422,
            "suffix not supported",
            "Suffix is not supported and can be achieved by preprocessing the prompt.",
        )
    if len(asked.prompt) > most:
        message = f"Number of prompts exceeds the maximum allowed batch size of {most}"
        raise TgiError(422, "batch size exceeded", message)


def _completion_choice(index: int, answer: Answer) -> dict[str, Any]:
    reason = answer.generation.finish_reason
    text = answer.generation.text
    return {"index": index, "text": text, "logprobs": None, "finish_reason": FINISH.get(reason, reason)}


async def _completion_frames(
    gateway: Gateway, asked: CompletionRequest, requests: list[GenerateRequest]
) -> AsyncGenerator[bytes, None]:
    """The prompts' answers at once, their tokens as they come; an error ends one of them."""
    ready: asyncio.Queue[tuple[int, Event] | TgiError | None] = asyncio.Queue()

    async def fill(index: int, each: GenerateRequest) -> None:
        try:
            async with contextlib.aclosing(gateway.service.stream(each)) as events:
                async for event in events:
                    ready.put_nowait((index, event))
        except TgiError as error:
            ready.put_nowait(error)
        finally:
            ready.put_nowait(None)

    running = len(requests)
    tasks = [asyncio.ensure_future(fill(index, each)) for index, each in enumerate(requests)]
    try:
        while running:
            item = await ready.get()
            if item is None:
                running -= 1
            elif isinstance(item, TgiError):
                yield _error_frame(item)
            else:
                yield sse.frame(_completion_chunk(gateway, asked, *item))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    yield sse.DONE


def _completion_chunk(gateway: Gateway, asked: CompletionRequest, index: int, event: Event) -> dict[str, Any]:
    # The reason as TGI calls it, and the special token's text in it: so it streams completions.
    reason = event.token.finish_reason
    choice = {"index": index, "text": event.token.text, "logprobs": None, "finish_reason": reason or ""}
    chunk = {**_head(gateway, "text_completion", asked.model), "choices": [choice]}
    return chunk | ({"usage": _usage([event.answer])} if reason else {})
