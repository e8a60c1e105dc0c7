"""The programs that make the same call without us, one for each client that can.

Every program runs as it stands, imports nothing of ours, and has no argument that the call does not have.
"""

from __future__ import annotations

from typing import Any

from courselib.controls.catalogue import CONTROLS
from courselib.controls.clients import (
    curl_command,
    hub_client,
    llama_cpp_library,
    openai_client,
    text_generation_client,
    vllm_library,
)
from courselib.controls.controls import Controls
from courselib.controls.route import Plan, Route
from courselib.controls.routes import ROUTES
from courselib.engines.endpoint import Endpoint

__all__ = ["Endpoint", "openai_arguments", "programs"]

openai_arguments = openai_client.arguments
OPENAI_PATHS = ("/v1/chat/completions", "/v1/completions")


def programs(plan: Plan, prompt: str | list[dict[str, str]], endpoint: Endpoint) -> dict[str, str]:
    """Programs that make this call, by the name of the client they use.

    Args:
        plan: the call.
        prompt: messages for a route that takes a chat, else a text.
        endpoint: the server that it goes to.
    """
    route, found = plan.route, {}
    if route.path in OPENAI_PATHS:
        found["openai"] = openai_client.program(plan, prompt, endpoint)
    if route.path == OPENAI_PATHS[0] or route.nest:
        found["huggingface_hub"] = hub_client.program(plan, prompt, endpoint)
    if route.nest and text_generation_client.takes(plan):
        found["text_generation"] = text_generation_client.program(plan, prompt, endpoint)
    if endpoint.file and endpoint.engine == "llama.cpp":
        library = ROUTES["llama_cpp.Llama chat" if route.takes == "messages" else "llama_cpp.Llama"]
        found["llama_cpp"] = _commented(plan, library, prompt, endpoint, llama_cpp_library.program)
    if endpoint.file and endpoint.engine == "vllm":
        library = ROUTES["vLLM SamplingParams"]
        found["vllm"] = _commented(plan, library, prompt, endpoint, vllm_library.program)
    found["curl"] = curl_command.program(plan, prompt, endpoint)
    return found


def carried_over(controls: Controls, here: Route, there: Route) -> Controls:
    """Controls that mean on another route what these mean here: defaults that differ are set.

    Defaults that are words (as the rest of the context) have no value to set.
    """
    changes = {}
    for name in CONTROLS:
        default = here.table[name].default
        if getattr(controls, name) is None and default != there.table[name].default and not isinstance(default, str):
            changes[name] = default
    return controls.with_(**changes)


def _commented(plan: Plan, library: Route, prompt: Any, endpoint: Endpoint, program: Any) -> str:
    """A library's program, below comments on what it does not do as the server does."""
    other = library.plan(carried_over(plan.controls, plan.route, library))
    known = {(line.control, line.text) for line in plan.report if line.matters}
    comments = [
        f"# {line.control}: {line.text}\n"
        for line in other.report
        if line.matters and getattr(plan.controls, line.control) is not None and (line.control, line.text) not in known
    ]
    return "".join(comments) + str(program(other, prompt, endpoint))
