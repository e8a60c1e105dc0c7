"""TGI's requests: their fields, of which type, and what they are where absent (TGI 3.3.7, router/src/lib.rs)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from courselib.gateway import serde
from courselib.gateway.serde import (
    Field,
    Mismatch,
    Path,
    boolean,
    f32,
    i32,
    optional,
    sequence,
    string,
    u32,
    u64,
    usize,
)


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """``parameters`` of a request for generation, as sent."""

    best_of: int | None = None
    temperature: float | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    typical_p: float | None = None
    do_sample: bool = False
    max_new_tokens: int | None = None
    return_full_text: bool | None = None
    stop: list[str]
    truncate: int | None = None
    watermark: bool = False
    details: bool = False
    decoder_input_details: bool = False
    seed: int | None = None
    top_n_tokens: int | None = None
    grammar: dict[str, Any] | None = None
    adapter_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class GenerateRequest:
    """A request for generation. ``add_special_tokens`` is not a field but what each route does."""

    inputs: str
    parameters: Parameters
    stream: bool = False
    add_special_tokens: bool = True


def grammar(value: Any, path: Path) -> dict[str, Any]:
    """``{"type", "value"}``; a schema may be written as a string of JSON."""
    kinds = ("json", "json_object", "regex", "json_schema")
    if not isinstance(value, dict):
        raise serde.Mismatch(
            path, f"invalid type: {serde.unexpected(value)}, expected internally tagged enum GrammarType"
        )
    kind = value.get("type", serde.REQUIRED)
    if kind is serde.REQUIRED:
        raise Mismatch(path, "missing field `type`")
    if not isinstance(kind, str) or kind not in kinds:
        named = " or ".join(f"`{name}`" for name in ("json", "regex", "json_schema"))
        raise Mismatch(path, f"unknown variant `{kind}`, expected one of {named.replace(' or ', ', ')}")
    if "value" not in value:
        raise Mismatch(path, "missing field `value`")
    if kind == "regex":
        string(value["value"], (*path, "value"))
    return {"type": kind, "value": value["value"]}


_PARAMETERS = serde.struct(
    "GenerateParameters",
    {
        "best_of": Field(optional(usize), None),
        "temperature": Field(optional(f32), None),
        "repetition_penalty": Field(optional(f32), None),
        "frequency_penalty": Field(optional(f32), None),
        "top_k": Field(optional(i32), None),
        "top_p": Field(optional(f32), None),
        "typical_p": Field(optional(f32), None),
        "do_sample": Field(boolean, False),
        "max_new_tokens": Field(optional(u32), None),
        "return_full_text": Field(optional(boolean), None),
        "stop": Field(sequence(string), ()),
        "truncate": Field(optional(usize), None),
        "watermark": Field(boolean, False),
        "details": Field(boolean, False),
        "decoder_input_details": Field(boolean, False),
        "seed": Field(optional(u64), None),
        "top_n_tokens": Field(optional(u32), None),
        "grammar": Field(optional(grammar), None),
        "adapter_id": Field(optional(string), None),
    },
)


def _parameters(value: Any, path: Path) -> Parameters:
    fields = _PARAMETERS(value, path)
    return Parameters(**{**fields, "stop": list(fields["stop"])})


# Not a slip: without ``parameters`` TGI samples, with ``{}`` it is greedy (lib.rs, default_parameters).
DEFAULT_PARAMETERS = Parameters(do_sample=True, stop=[])

_GENERATE = serde.struct(
    "GenerateRequest", {"inputs": Field(string), "parameters": Field(_parameters, DEFAULT_PARAMETERS)}
)
_COMPAT = serde.struct(
    "CompatGenerateRequest",
    {
        "inputs": Field(string),
        "parameters": Field(_parameters, DEFAULT_PARAMETERS),
        "stream": Field(boolean, False),
    },
)


def generate_request(body: bytes) -> GenerateRequest:
    """The body of ``/generate``, ``/generate_stream`` and ``/tokenize``."""
    return GenerateRequest(**serde.parse(body, _GENERATE))


def compat_request(body: bytes) -> GenerateRequest:
    """The body of ``POST /``, which says in itself whether to stream."""
    return GenerateRequest(**serde.parse(body, _COMPAT))
