"""One look at an engine: the distribution it tells of the next token, and what panels that draw from it share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from courselib.controls.controls import Controls
from courselib.controls.route import LOST, Plan
from courselib.controls.routes import ROUTES, routes_of
from courselib.engines.server import Server
from courselib.observe import logits
from courselib.observe.effective import server_defaults, server_sampling
from courselib.sampling import Context, ServerSampling, breakers_within
from courselib.sampling.candidates import Floats

# vLLM is asked for the texts of so many of the most likely: more than are drawn, since a control may lift others.
NAMED = 100


@dataclass(frozen=True, eq=False)
class Look:
    """What one look at an engine gave.

    Args:
        prompt: what was asked: a text, or ids of tokens.
        told: the engine's answer.
        own: the model's own probabilities, shape (vocabulary,), 0 where they were not told.
        context: the prompt's tokens, for penalties and DRY, and what this very server applies by itself.
        defaults: what this very server applies where nothing is sent, and where that is told.
    """

    prompt: str | tuple[int, ...]
    told: logits.NextToken
    own: Floats
    context: Context
    defaults: tuple[dict[str, Any], str] = ({}, "")


def look_at(server: Server, prompt: str | tuple[int, ...]) -> Look:
    """Ask a server for the distribution of the token after ``prompt``.

    Raises:
        SettingsError, RequestError: as ``courselib.observe.logits.next_token``.
    """
    import httpx

    told = logits.next_token(server, prompt)
    try:
        defaults, sampling = server_defaults(server), server_sampling(server)
    except httpx.HTTPError:  # it has just told its logits: what is wrong now, the next look will say
        defaults, sampling = ({}, ""), ServerSampling()
    context = Context(told.prompt, breakers=breakers_within(told.pieces), server=sampling)
    if server.engine_name == "vllm":
        told = _with_texts(server, told)
    return Look(prompt, told, np.exp(told.logprobs), context, defaults)


def one_token(engine: str, controls: Controls, defaults: tuple[Mapping[str, Any], str]) -> Plan:
    """The call that draws one token after a text, on an engine's first route for texts.

    Args:
        engine: its name.
        controls: what is asked for.
        defaults: what this very server applies where nothing is sent, and where it says so.
    """
    routes = [route for route in routes_of(engine) if route.takes == "prompt"]
    route = routes[0] if routes else ROUTES["llama.cpp completions"]
    return route.plan(controls.with_(max_tokens=1), defaults=defaults[0], origin=defaults[1])


def applied(plan: Plan) -> Controls:
    """The controls with every value that applies set: asked for, told by this server, or the engine's default."""
    values = {
        line.control: line.applies
        for line in plan.report
        if line.asked is None and line.verdict not in LOST and not isinstance(line.applies, str)
    }
    return plan.controls.with_(**values)


def _with_texts(server: Server, told: logits.NextToken) -> logits.NextToken:
    """What vLLM told, with the most likely tokens' texts, which it tells apart; the others by number.

    A token that is part of a character has no text there, and keeps its number, too.
    """
    pieces = [f"#{token}".encode() for token in range(told.logprobs.size)]
    for token in np.argsort(-told.logprobs)[:NAMED].tolist():
        text = logits.ask(server, "/detokenize", {"model": server.model, "tokens": [token]})["prompt"]
        if "\ufffd" not in text:
            pieces[token] = text.encode()
    return replace(told, pieces=tuple(pieces))


def tail(prompt: str | tuple[int, ...], most: int = 60) -> str:
    """The end of a prompt, for a person."""
    text = str(prompt)
    return text if len(text) <= most else f"…{text[-most:]}"
