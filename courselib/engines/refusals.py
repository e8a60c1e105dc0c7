"""What a server says when it refuses, in one place for all engines, and what it means as one of the course's errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from courselib.errors import CourseError, PromptTooLong, RequestRefused
from courselib.i18n import _

if TYPE_CHECKING:
    import httpx

# llama.cpp b11549 (by its type of error) and TGI 3.3.7 (in words); vLLM 0.32 has the number among its words.
TOO_LONG = re.compile(r"exceed_context_size|maximum context length|must have less than")
CONTEXT_OF_VLLM = re.compile(r"maximum context length is (?P<most>\d+) tokens.*your prompt contains")
# vLLM's (which are those of transformers) and TGI's words.
NO_TEMPLATE = re.compile(r"chat template is no longer allowed|template not found")
# How llama.cpp and vLLM refuse to generate with a model that cannot.
NOT_IMPLEMENTED = 501
# A server may list all that is wrong with a request; the rest is in the details.
LONGEST_WORDS = 240


def refusal(status: int, body: Any, words: str, details: str) -> CourseError:
    """The error for a request that was refused.

    Args:
        status: of HTTP.
        body: the answer's JSON, or that which stands in it under ``error``.
        words: what to repeat where the body has no message.
        details: evidence for whoever looks deeper.
    """
    said = _said(body)
    words = _one_line(_message(said) or words).rstrip(".")
    if TOO_LONG.search(f"{said.get('type')} {words}"):
        return PromptTooLong(_too_long(said, words), details=details)
    if status == NOT_IMPLEMENTED:
        return RequestRefused(
            _("The model of this server does not generate text (it may be one for embeddings); use another model."),
            details=details,
        )
    if NO_TEMPLATE.search(words):
        return RequestRefused(
            _("This model has no chat template, so it answers no conversation; let it continue a text instead."),
            details=details,
        )
    text = _("The server refused the request: {words}.").format(words=shortened(words))
    return RequestRefused(text, details=details)


def refused_words(response: httpx.Response) -> str:
    """The engine's own words in an answer: from its JSON, or else the text as it is."""
    try:
        body = response.json()
    except ValueError:
        body = None
    words = _message(_said(body)) if isinstance(body, dict) else body
    return _one_line(words or response.text or response.reason_phrase)


def shortened(words: str) -> str:
    """Words for one sentence."""
    return words if len(words) <= LONGEST_WORDS else words[:LONGEST_WORDS].rstrip() + "…"


def _one_line(words: Any) -> str:
    return " ".join(str(words).split())


def _message(said: Mapping[str, Any]) -> Any:
    """OpenAI's and TGI's message, or FastAPI's detail."""
    return said.get("message") or said.get("detail")


def _said(body: Any) -> Mapping[str, Any]:
    """The part of a body that has the message; TGI's ``error`` is the message itself."""
    error = body.get("error", body) if isinstance(body, dict) else {}
    return error if isinstance(error, dict) else {"message": error}


def _too_long(said: Mapping[str, Any], words: str) -> str:
    if "n_ctx" in said:
        return _(
            "The prompt has {n} tokens, but the context holds {most}; shorten it, or start with more context."
        ).format(n=said.get("n_prompt_tokens"), most=said["n_ctx"])
    if found := CONTEXT_OF_VLLM.search(words):
        return _("The prompt does not fit into the context of {most} tokens; shorten it, or start with more.").format(
            most=found["most"]
        )
    return _("The prompt does not fit into the server's context; shorten it, or start the server with more.")
