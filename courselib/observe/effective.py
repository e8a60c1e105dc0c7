"""Asks a running server what it goes by: before a call, its defaults; after one, the settings that it used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from courselib.controls.effective import Used, compare, told_defaults, told_settings
from courselib.controls.route import Plan
from courselib.i18n import N_, _

if TYPE_CHECKING:
    from courselib.engines.server import Server

PROPS, CONFIG = N_("this server's settings"), N_("the model's generation_config.json")


def server_defaults(server: Server) -> tuple[dict[str, Any], str]:
    """What this server applies where a control is not sent, and where that comes from, both for ``Route.plan``.

    Empty where nothing is told: TGI has no defaults of its own, and of a vLLM that was not started here the model's
    folder is not known.

    Raises:
        httpx.HTTPError: the server does not answer.
    """
    if server.engine_name == "llama.cpp":
        return told_defaults("llama.cpp", server.http.get("/props").raise_for_status().json()), _(PROPS)
    if server.engine_name == "vllm" and server.settings:
        path = Path(server.settings.model) / "generation_config.json"
        told = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return told_defaults("vLLM", told), _(CONFIG)
    return {}, ""


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
