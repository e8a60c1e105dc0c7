"""Which requests TGI refuses, in its order and its words (TGI 3.3.7, router/src/validation.rs and infer/mod.rs)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from courselib.gateway.errors import invalid
from courselib.gateway.json_text import JsonFault, loads
from courselib.gateway.limits import Limits
from courselib.gateway.schema import Parameters

# TGI reserves room for at most so many tokens at once, and only these are checked against the limit.
CHUNK = 1024


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to choose tokens, every default filled in."""

    temperature: float
    top_k: int
    top_p: float
    typical_p: float
    repetition_penalty: float
    frequency_penalty: float
    sampled: bool


def check_best_of(parameters: Parameters, limits: Limits, *, stream: bool) -> int:
    """How many answers to make; the checks that TGI's routes make before all others."""
    best_of = 1 if parameters.best_of is None else parameters.best_of
    if stream:
        if best_of != 1:
            raise invalid("`best_of` != 1 is not supported when streaming tokens")
        if parameters.decoder_input_details:
            raise invalid("`decoder_input_details` == true is not supported when streaming tokens")
        return 1
    if best_of > 1:
        if limits.max_best_of == 1:
            raise invalid("`best_of` != 1 is not allowed for this endpoint")
        if best_of > limits.max_best_of:
            raise invalid(f"`best_of` must be > 0 and <= {limits.max_best_of}. Given: {best_of}")
    return max(best_of, 1)


def check_parameters(parameters: Parameters, limits: Limits) -> None:
    """TGI's checks of the parameters, the first that fails is told."""
    best_of = 1 if parameters.best_of is None else parameters.best_of
    asked = (parameters.temperature, parameters.top_k, parameters.top_p, parameters.typical_p)
    if best_of > 1 and not (parameters.do_sample or any(value is not None for value in asked)):
        raise invalid("you must use sampling when `best_of` is > 1")
    _check_numbers(parameters)
    if len(parameters.stop) > limits.max_stop_sequences:
        raise invalid(
            f"`stop` supports up to {limits.max_stop_sequences} stop sequences. Given: {len(parameters.stop)}"
        )
    if parameters.seed is not None and best_of > 1:
        raise invalid("`seed` must not be set when `best_of` > 1")
    top_n = parameters.top_n_tokens or 0
    if top_n > limits.max_top_n_tokens:
        raise invalid(f"`top_n_tokens` must be >= 0 and <= {limits.max_top_n_tokens}. Given: {top_n}")


def _check_numbers(given: Parameters) -> None:
    if given.temperature is not None and given.temperature <= 0:
        raise invalid("`temperature` must be strictly positive")
    if given.repetition_penalty is not None and given.repetition_penalty <= 0:
        raise invalid("`repetition_penalty` must be strictly positive")
    if given.frequency_penalty is not None and not -2 <= given.frequency_penalty <= 2:
        raise invalid("`frequency_penalty` must be >= -2.0 and <= 2.0")
    if given.top_p is not None and not 0 < given.top_p < 1:
        raise invalid("`top_p` must be > 0.0 and < 1.0")
    if given.typical_p is not None and not 0 < given.typical_p < 1:
        raise invalid("`typical_p` must be > 0.0 and < 1.0")
    if given.top_k is not None and given.top_k <= 0:
        raise invalid("`top_k` must be strictly positive")
    if given.max_new_tokens == 0:
        raise invalid("`max_new_tokens` must be strictly positive")


def check_inputs(inputs: str, truncate: int | None, limits: Limits) -> None:
    """What can be said of the prompt before it is cut into tokens."""
    if not inputs:
        raise invalid("`inputs` cannot be empty")
    if truncate is not None and not 0 < truncate <= limits.max_input_tokens:
        raise invalid(
            f"`truncate` must be strictly positive and less than {limits.max_input_tokens}. Given: {truncate}"
        )


def new_tokens(input_length: int, parameters: Parameters, limits: Limits) -> int:
    """How many tokens may come, the prompt having ``input_length``.

    Raises:
        TgiError: prompt and answer are longer than the limits.
    """
    room = max(limits.max_total_tokens - input_length, 0)
    asked = room if parameters.max_new_tokens is None else parameters.max_new_tokens
    checked = min(asked, CHUNK)
    if input_length + checked > limits.max_total_tokens:
        raise invalid(
            f"`inputs` tokens + `max_new_tokens` must be <= {limits.max_total_tokens}."
            f" Given: {input_length} `inputs` tokens and {checked} `max_new_tokens`"
        )
    if input_length > limits.max_input_tokens:
        raise invalid(f"`inputs` must have less than {limits.max_input_tokens} tokens. Given: {input_length}")
    return min(asked, room)


def check_grammar(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """The JSON schema the answer must keep to, if one is asked for."""
    if given is None:
        return None
    # llama.cpp has no grammar of regular expressions; this is what TGI says where grammars are switched off.
    if given["type"] == "regex":
        raise invalid("grammar is not supported")
    schema = given["value"]
    if given["type"] == "json_schema" and isinstance(schema, dict):
        schema = schema.get("schema", schema)
    if isinstance(schema, str):
        try:
            schema = loads(schema)
        except JsonFault as fault:
            raise invalid(f"grammar is not valid: {fault}") from None
    elif not isinstance(schema, dict):
        raise invalid("grammar is not supported")
    if not isinstance(schema, dict) or "properties" not in schema:
        raise invalid("grammar is not valid: Grammar must have a 'properties' field")
    return schema


def check_supported(given: Parameters) -> None:
    """What TGI can and this gateway cannot; the words are our own."""
    if given.watermark:
        raise invalid("`watermark` is not supported by this gateway")


def sampling(given: Parameters) -> Sampling:
    """Parameters with TGI's defaults; chance plays a part where one of them asks for it (utils/tokens.py)."""
    temperature = 1.0 if given.temperature is None else given.temperature
    top_k, top_p, typical_p = given.top_k or 0, given.top_p or 1.0, given.typical_p or 1.0
    return Sampling(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        typical_p=typical_p,
        repetition_penalty=1.0 if given.repetition_penalty is None else given.repetition_penalty,
        frequency_penalty=given.frequency_penalty or 0.0,
        sampled=given.do_sample or temperature != 1 or top_k != 0 or top_p < 1 or typical_p < 1,
    )
