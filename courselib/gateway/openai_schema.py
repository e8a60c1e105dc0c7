"""TGI's requests of OpenAI's kind, and what they mean as requests for generation (TGI 3.3.7, router/src/lib.rs)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from courselib.gateway import serde
from courselib.gateway.errors import TgiError
from courselib.gateway.schema import GenerateRequest, Parameters, grammar
from courselib.gateway.serde import Field, Mismatch, Path, boolean, f32, optional, sequence, string, u32, u64


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """The body of ``/v1/chat/completions``, as far as TGI looks at it."""

    model: str | None
    messages: list[dict[str, Any]]
    frequency_penalty: float | None
    logit_bias: list[float] | None
    logprobs: bool | None
    top_logprobs: int | None
    max_tokens: int | None
    n: int | None
    presence_penalty: float | None
    stop: list[str] | None
    stream: bool
    seed: int | None
    temperature: float | None
    top_p: float | None
    tools: list[Any] | None
    tool_prompt: str | None
    tool_choice: Any
    response_format: dict[str, Any] | None
    stream_options: dict[str, Any] | None

    def parameters(self) -> Parameters:
        """What to generate. TGI makes of a presence penalty p a repetition penalty of p + 2."""
        greedy = self.temperature == 0
        penalty = self.presence_penalty
        return Parameters(
            temperature=None if greedy else self.temperature,
            repetition_penalty=None if penalty is None else penalty + 2.0,
            frequency_penalty=self.frequency_penalty,
            top_p=self.top_p,
            do_sample=not greedy,
            max_new_tokens=self.max_tokens,
            return_full_text=False,
            stop=self.stop or [],
            details=True,
            seed=self.seed,
            top_n_tokens=self.top_logprobs,
            grammar=self.response_format,
            adapter_id=None if self.model == "tgi" else self.model,
        )

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with what it used."""
        return bool(self.stream_options and self.stream_options["include_usage"])


@dataclass(frozen=True, kw_only=True)
class CompletionRequest:
    """The body of ``/v1/completions``, as far as TGI looks at it."""

    model: str | None
    prompt: list[str]
    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    stream: bool
    seed: int | None
    suffix: str | None
    repetition_penalty: float | None
    frequency_penalty: float | None
    stop: list[str] | None

    def requests(self) -> list[GenerateRequest]:
        """One request for each prompt."""
        greedy = self.temperature == 0
        parameters = Parameters(
            temperature=None if greedy else self.temperature,
            # Not OpenAI's 16, and not the rest of the context as elsewhere (server.rs, completions).
            max_new_tokens=100 if self.max_tokens is None else self.max_tokens,
            repetition_penalty=self.repetition_penalty,
            frequency_penalty=self.frequency_penalty,
            top_p=self.top_p,
            do_sample=not greedy,
            return_full_text=False,
            stop=self.stop or [],
            details=True,
            seed=self.seed,
            adapter_id=None if self.model == "tgi" else self.model,
        )
        return [GenerateRequest(inputs=prompt, parameters=parameters) for prompt in self.prompt]


def _content(value: Any) -> str | None:
    """A message's content as one text, images written as TGI writes them; None where it is no content."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return None
    parts = []
    for part in value:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text" and isinstance(part.get("text"), str):
            parts.append(part["text"])
        elif kind == "image_url" and isinstance(url := _url(part), str):
            parts.append(f"![]({url})")
        else:
            return None
    return "".join(parts)


def _url(part: dict[str, Any]) -> Any:
    image = part.get("image_url")
    return image.get("url") if isinstance(image, dict) else None


def _message(value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Mismatch(path, f"invalid type: {serde.unexpected(value)}, expected struct Message", before=True)
    if "role" not in value:
        raise Mismatch(path, "missing field `role`")
    role = string(value["role"], (*path, "role"))
    content = _content(value.get("content"))
    if content is None and not isinstance(value.get("tool_calls"), list):
        raise Mismatch(path, "no variant of enum MessageBody found in flattened data")
    message: dict[str, Any] = {"role": role, "content": content or ""}
    if value.get("name") is not None:
        message["name"] = string(value["name"], (*path, "name"))
    return message


_OPTIONS = serde.struct("StreamOptions", {"include_usage": Field(boolean)})
_CHAT = serde.struct(
    "ChatRequest",
    {
        "model": Field(optional(string), None),
        "messages": Field(sequence(_message)),
        "frequency_penalty": Field(optional(f32), None),
        "logit_bias": Field(optional(sequence(f32)), None),
        "logprobs": Field(optional(boolean), None),
        "top_logprobs": Field(optional(u32), None),
        "max_tokens": Field(optional(u32), None, ("max_completion_tokens",)),
        "n": Field(optional(u32), None),
        "presence_penalty": Field(optional(f32), None),
        "stop": Field(optional(sequence(string)), None),
        "stream": Field(boolean, False),
        "seed": Field(optional(u64), None),
        "temperature": Field(optional(f32), None),
        "top_p": Field(optional(f32), None),
        "tools": Field(optional(sequence(serde.anything)), None),
        "tool_prompt": Field(optional(string), None),
        "tool_choice": Field(serde.anything, None),
        "response_format": Field(optional(grammar), None),
        "stream_options": Field(_OPTIONS, None),
    },
)


def _prompt(value: Any, path: Path) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return value
    if value == []:
        raise Mismatch(path, "Empty array detected. Do not use an empty array for the prompt.")
    raise Mismatch(
        path, f"invalid type: {serde.unexpected(value)}, expected a string or an array of strings", before=True
    )


_COMPLETION = serde.struct(
    "CompletionRequest",
    {
        "model": Field(optional(string), None),
        "prompt": Field(_prompt),
        "max_tokens": Field(optional(u32), None),
        "temperature": Field(optional(f32), None),
        "top_p": Field(optional(f32), None),
        "stream": Field(boolean, False),
        "seed": Field(optional(u64), None),
        "suffix": Field(optional(string), None),
        "repetition_penalty": Field(optional(f32), None),
        "frequency_penalty": Field(optional(f32), None),
        "stop": Field(optional(sequence(string)), None),
    },
)


def chat_request(body: bytes) -> ChatRequest:
    """The body of ``/v1/chat/completions`` and ``/chat_tokenize``."""
    return ChatRequest(**serde.parse(body, _CHAT))


def completion_request(body: bytes) -> CompletionRequest:
    """The body of ``/v1/completions``."""
    return CompletionRequest(**serde.parse(body, _COMPLETION))


def refuse_tools(request: ChatRequest) -> None:
    """Tools need a grammar of their own, which this gateway does not make.

    Raises:
        TgiError: there are tools in the request, and they may be used.
    """
    if request.tools and request.tool_choice != "none":
        raise TgiError(422, "tool_error", "Tool error: tools are not supported by this gateway")
