"""One look at an engine: the distribution it tells of the next token, and the call that would draw one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from courselib.controls.controls import Controls
from courselib.controls.route import LOST, Plan
from courselib.controls.routes import ROUTES, routes_of
from courselib.engines.server import Server
from courselib.observe import logits
from courselib.observe.effective import server_defaults
from courselib.sampling import Context, breakers_within
from courselib.sampling.candidates import Floats

# vLLM is asked for the texts of so many of the likeliest: more than are drawn, since a control may lift others.
NAMED = 100


@dataclass(frozen=True, eq=False)
class Look:
    """What one look at an engine gave.

    Args:
        prompt: what was asked.
        told: the engine's answer.
        own: the model's own probabilities, shape (vocabulary,), 0 where they were not told.
        context: the prompt's tokens, for penalties and DRY.
        defaults: what this very server applies where nothing is sent, and where that is told.
    """

    prompt: str
    told: logits.NextToken
    own: Floats
    context: Context
    defaults: tuple[dict[str, Any], str] = ({}, "")


def look_at(server: Server, prompt: str) -> Look:
    """Ask a server for the distribution of the token after ``prompt``.

    Raises:
        SettingsError, RequestError: as ``courselib.observe.logits.next_token``.
    """
    import httpx

    told = logits.next_token(server, prompt)
    try:
        defaults = server_defaults(server)
    except httpx.HTTPError:
        defaults = ({}, "")  # it has just told its logits: what is wrong now, the next look will say
    context = Context(told.prompt, breakers=breakers_within(told.pieces))
    if server.engine_name == "vllm":
        told = _with_texts(server, told)
    return Look(prompt, told, np.exp(told.logprobs), context, defaults)


def one_token(engine_name: str, controls: Controls, defaults: tuple[dict[str, Any], str]) -> Plan:
    """The call that draws one token after a text, on the engine's first route for texts."""
    routes = [route for route in routes_of(engine_name) if route.takes == "prompt"]
    route = routes[0] if routes else ROUTES["llama.cpp completions"]
    told, origin = defaults
    return route.plan(controls.with_(max_tokens=1), defaults=told, origin=origin)


def effective(plan: Plan) -> Controls:
    """The controls, and for those not set what this very server applies, where that is not its engine's default."""
    spelled = plan.route.table
    told = {
        line.control: line.applies
        for line in plan.report
        if line.asked is None and not isinstance(line.applies, str) and line.applies != spelled[line.control].default
    }
    return plan.controls.with_(**told)


def spelled_out(plan: Plan) -> Controls:
    """The controls with every value that applies set, so that another engine's defaults change nothing."""
    applied = {
        line.control: line.applies
        for line in plan.report
        if line.asked is None and line.verdict not in LOST and not isinstance(line.applies, str)
    }
    return plan.controls.with_(**applied)


def _with_texts(server: Server, told: logits.NextToken) -> logits.NextToken:
    """What vLLM told, with the likeliest tokens' texts, which it tells apart; the others by number.

    A token that is part of a character has no text there, and keeps its number, too.
    """
    pieces = [f"#{token}".encode() for token in range(told.logprobs.size)]
    for token in np.argsort(-told.logprobs)[:NAMED].tolist():
        text = logits.ask(server, "/detokenize", {"model": server.model, "tokens": [token]})["prompt"]
        if "\ufffd" not in text:
            pieces[token] = text.encode()
    return replace(told, pieces=tuple(pieces))
