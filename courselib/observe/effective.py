"""Asks a running server what it goes by: before a call, its defaults; after one, the settings that it used."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from courselib.controls.effective import Used, compare, told_defaults, told_settings
from courselib.controls.route import Plan
from courselib.i18n import N_, _
from courselib.sampling.context import ServerSampling

if TYPE_CHECKING:
    from courselib.engines.server import Server

NO_SAMPLERS = N_("This server does not report its samplers; llama.cpp's usual ones are assumed.")
NO_CONFIG = N_(
    "vLLM takes defaults from the model's generation_config.json, which this server does not report; controls that are"
    " not set may differ from what is shown."
)
PROPS, CONFIG = N_("this server's settings"), N_("the model's generation_config.json")


def server_defaults(server: Server) -> tuple[dict[str, Any], str]:
    """What this server applies where a control is not sent, and where that comes from, both for ``Route.plan``.

    Empty where nothing is told: TGI has no defaults of its own, and of a vLLM that was not started here the model's
    folder is not known.

    Raises:
        httpx.HTTPError: the server does not answer.
    """
    if server.engine_name == "llama.cpp":
        return told_defaults("llama.cpp", _props(server)), _(PROPS)
    if server.engine_name == "vllm" and server.settings:
        path = Path(server.settings.model) / "generation_config.json"
        told = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return told_defaults("vLLM", told), _(CONFIG)
    return {}, ""


def server_sampling(server: Server) -> ServerSampling:
    """What this server applies to every request by itself and is no control, for ``courselib.sampling.Context``.

    Raises:
        httpx.HTTPError: the server does not answer.
    """
    name = server.engine_name
    if name == "llama.cpp":
        told = _props(server).get("default_generation_settings", {}).get("params", {})
        if "samplers" not in told:
            return ServerSampling(name, notes=(_(NO_SAMPLERS),))
        known = {field.name: told[field.name] for field in fields(ServerSampling) if field.name in told}
        return ServerSampling(name, **{**known, "samplers": tuple(told["samplers"])})
    if name == "vllm" and not (server.settings and Path(server.settings.model).is_dir()):
        return ServerSampling(name, notes=(_(NO_CONFIG),))
    return ServerSampling(name)


def _props(server: Server) -> dict[str, Any]:
    # A router has several models, and must be told which one is meant.
    props: dict[str, Any] = server.http.get("/props", params={"model": server.model}).raise_for_status().json()
    return props


def ask_and_compare(server: Server, plan: Plan, prompt: Any) -> tuple[dict[str, Any], list[Used]]:
    """Make one call; the engine's answer, and what it says it used beside what was asked.

    Args:
        server: to ask, by the plan's route.
        plan: of the call.
        prompt: a text, or messages where the route takes these.

    Raises:
        httpx.HTTPError: the server does not answer, or refuses the call.
    """
    body = plan.route.body(plan, prompt, server.model)
    if plan.route.nest:
        body[plan.route.nest]["details"] = True
    elif plan.route.engine == "llama.cpp":
        body["verbose"] = True
    answer = server.http.post(plan.route.path, json=body).raise_for_status().json()
    # llama.cpp's own route makes a list of several answers to one prompt.
    first = answer[0] if isinstance(answer, list) else answer
    return first, compare(plan, told_settings(first))
