"""TGI's answers of the generation routes; keys in TGI's order, and none where the gateway does not know."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Any

from starlette.responses import StreamingResponse

from courselib.gateway import sse
from courselib.gateway.answer import Answer, Event
from courselib.gateway.generation import Token
from courselib.gateway.schema import GenerateRequest, Parameters


def token_object(token: Token) -> dict[str, Any]:
    """One token. Without ``id`` or ``logprob`` where llama.cpp does not tell them."""
    whole = {"id": token.id, "text": token.text, "logprob": token.logprob, "special": token.special}
    return {key: value for key, value in whole.items() if value is not None}


def _text(request: GenerateRequest, answer: Answer) -> str:
    prompt = request.inputs if request.parameters.return_full_text else ""
    return prompt + answer.generation.text


def _sequence(answer: Answer, *, top: bool) -> dict[str, Any]:
    tokens = answer.generation.tokens
    told = {
        "finish_reason": answer.generation.finish_reason,
        "generated_tokens": answer.generated_tokens,
        "seed": answer.seed,
        # Empty on TGI as well, unless it is started with --enable-prefill-logprobs.
        "prefill": [],
        "tokens": [token_object(token) for token in tokens],
    }
    if top:
        told["top_tokens"] = [[token_object(other) for other in token.top] for token in tokens]
    return told


def generate_response(request: GenerateRequest, answers: list[Answer]) -> dict[str, Any]:
    """The answer of ``/generate``, the best of ``answers`` being the first."""
    best, *others = answers
    body: dict[str, Any] = {"generated_text": _text(request, best)}
    given = request.parameters
    if given.details or given.decoder_input_details:
        top = bool(given.top_n_tokens)
        details = _sequence(best, top=top)
        if others:
            best_of = [{"generated_text": _text(request, other), **_sequence(other, top=top)} for other in others]
            details["best_of_sequences"] = best_of
            if top:
                details["top_tokens"] = details.pop("top_tokens")
        body["details"] = details
    return body


def stream_response(request: GenerateRequest, event: Event) -> dict[str, Any]:
    """One event of ``/generate_stream``."""
    token, answer = event.token, event.answer
    body: dict[str, Any] = {"index": answer.generated_tokens, "token": token_object(token)}
    if request.parameters.top_n_tokens:
        body["top_tokens"] = [token_object(other) for other in token.top]
    last = token.finish_reason is not None
    body["generated_text"] = _text(request, answer) if last else None
    body["details"] = None
    if last and request.parameters.details:
        body["details"] = {
            "finish_reason": token.finish_reason,
            "generated_tokens": answer.generated_tokens,
            "seed": answer.seed,
            "input_length": answer.input_length,
        }
    return body


def headers(request_characters: int, answers: list[Answer]) -> dict[str, str]:
    """What TGI tells in the headers of whole answers: seconds, milliseconds, tokens; sums of several answers."""

    def milliseconds(seconds: Iterable[float]) -> str:
        return str(sum(int(each * 1000) for each in seconds))

    return {
        "x-compute-type": "cpu",
        "x-compute-time": str(sum(answer.total_s for answer in answers)),
        "x-compute-characters": str(request_characters),
        "x-total-time": milliseconds(answer.total_s for answer in answers),
        "x-validation-time": milliseconds(answer.validation_s for answer in answers),
        "x-queue-time": milliseconds(answer.queue_s for answer in answers),
        "x-inference-time": milliseconds(answer.inference_s for answer in answers),
        "x-time-per-token": milliseconds(answer.inference_s / answer.generated_tokens for answer in answers),
        "x-prompt-tokens": str(sum(answer.input_length for answer in answers)),
        "x-generated-tokens": str(sum(answer.generated_tokens for answer in answers)),
    }


def warnings(given: Parameters) -> dict[str, str]:
    """Says with the answer where it means something else than TGI's."""
    if not given.frequency_penalty:
        return {}
    return {"x-gateway-warning": "frequency_penalty is llama.cpp's: penalty * count, not penalty * count / length"}


def event_stream(request_characters: int, given: Parameters, frames: AsyncGenerator[bytes, None]) -> StreamingResponse:
    """A stream of events, its headers as TGI's."""
    told = {
        "content-type": "text/event-stream",
        "cache-control": "no-cache",
        "x-compute-type": "cpu",
        "x-compute-characters": str(request_characters),
        "x-accel-buffering": "no",
    }
    return StreamingResponse(sse.kept_alive(frames), headers=told | warnings(given))
