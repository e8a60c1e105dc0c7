"""OpenAI's client; what OpenAI's API does not have goes into ``extra_body``."""

from __future__ import annotations

from typing import Any

from courselib.controls.clients.python_text import assign, call, environment
from courselib.controls.route import Plan
from courselib.engines.endpoint import Endpoint

# Those of our arguments that ``create`` has (openai 2.0 to 3.54), for a chat and for a text.
CHAT = {
    "temperature", "top_p", "max_tokens", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias",
    "logprobs", "top_logprobs", "n",
}  # fmt: skip
TEXT = CHAT - {"top_logprobs"}


def split(arguments: dict[str, Any], known: set[str]) -> dict[str, Any]:
    """Arguments of a client: those it knows by name, the others in ``extra_body``."""
    others = {name: value for name, value in arguments.items() if name not in known}
    named = {name: value for name, value in arguments.items() if name in known}
    return {**named, **({"extra_body": others} if others else {})}


def arguments(plan: Plan) -> dict[str, Any]:
    """What ``create`` takes for this plan, besides model, prompt and stream."""
    return split(dict(plan.arguments), CHAT if plan.route.takes == "messages" else TEXT)


def streams(plan: Plan) -> bool:
    """Whether the answer is one text, to be shown as it comes."""
    return (plan.controls.n or 1) == 1 and plan.controls.logprobs is None


def program(plan: Plan, prompt: Any, endpoint: Endpoint) -> str:
    """The call by OpenAI's client."""
    chat = plan.route.takes == "messages"
    lines = [*environment(endpoint.environment), "from openai import OpenAI", ""]
    lines += assign("client", call("OpenAI", named={"base_url": endpoint.base_url, "api_key": endpoint.key or "none"}))
    named = {"model": endpoint.model, plan.route.takes: prompt, **arguments(plan)}
    create = f"client.{'chat.' if chat else ''}completions.create"
    return "\n".join([*lines, *reading(create, named, plan)]) + "\n"


def reading(function: str, named: dict[str, Any], plan: Plan) -> list[str]:
    """The call and the loop that prints its answer: OpenAI's client and Hugging Face's chat give the same objects."""
    chat = plan.route.takes == "messages"
    if streams(plan):
        piece = "chunk.choices[0].delta.content" if chat else "chunk.choices[0].text"
        return [
            *assign("stream", call(function, named={**named, "stream": True})),
            "for chunk in stream:",
            f"    if chunk.choices and {piece}:",
            f'        print({piece}, end="", flush=True)',
        ]
    lines = [
        *assign("answer", call(function, named=named)),
        "for choice in answer.choices:",
        f"    print(choice.{'message.content' if chat else 'text'})",
    ]
    return lines if plan.controls.logprobs is None else [*lines, "    print(choice.logprobs)"]
