"""llama.cpp as a library, on the same file that the server has."""

from __future__ import annotations

from typing import Any

from courselib.controls.clients.python_text import assign, call
from courselib.controls.route import Plan
from courselib.engines.endpoint import Endpoint


def program(plan: Plan, prompt: Any, endpoint: Endpoint) -> str:
    """The call by ``llama_cpp.Llama``."""
    chat = plan.route.takes == "messages"
    opened = {**endpoint.library_options, **({"logits_all": True} if "logprobs" in plan.arguments else {})}
    lines = ["from llama_cpp import Llama", ""]
    lines += assign("llm", call("Llama", [endpoint.file], {**opened, "verbose": False}))
    named = {**({"messages": prompt} if chat else {}), **plan.arguments}
    function = "llm.create_chat_completion" if chat else "llm"
    lines += assign("answer", call(function, [] if chat else [prompt], named))
    text = '["message"]["content"]' if chat else '["text"]'
    lines += [f'print(answer["choices"][0]{text})']
    if "logprobs" in plan.arguments:
        lines += ['print(answer["choices"][0]["logprobs"])']
    return "\n".join(lines) + "\n"
