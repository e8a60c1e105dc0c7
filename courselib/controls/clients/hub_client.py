"""Hugging Face's client: ``chat_completion`` on OpenAI's chat route, ``text_generation`` on TGI's own."""

from __future__ import annotations

from typing import Any

from courselib.controls.clients.openai_client import reading, split
from courselib.controls.clients.python_text import assign, call, environment
from courselib.controls.route import Plan
from courselib.engines.endpoint import Endpoint

# Those of our arguments that ``chat_completion`` has (huggingface_hub 1.0 to 2.4).
CHAT = {
    "temperature", "top_p", "max_tokens", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias",
    "logprobs", "top_logprobs", "n",
}  # fmt: skip


def program(plan: Plan, prompt: Any, endpoint: Endpoint) -> str:
    """The call by ``InferenceClient``."""
    own = plan.route.takes == "prompt"
    url = endpoint.url + plan.route.path if own else endpoint.base_url
    lines = [*environment(endpoint.environment), "from huggingface_hub import InferenceClient", ""]
    lines += assign("client", call("InferenceClient", named={"base_url": url, "api_key": endpoint.key or "none"}))
    if not own:
        named = {"model": endpoint.model, "messages": prompt, **split(dict(plan.arguments), CHAT)}
        return "\n".join([*lines, *reading("client.chat_completion", named, plan)]) + "\n"
    lines += assign("answer", call("client.text_generation", [prompt], plan.arguments))
    return "\n".join([*lines, *told("details" in plan.arguments)]) + "\n"


def told(details: bool) -> list[str]:
    """Print the answer, which is an object where details were asked for and else a text."""
    if not details:
        return ["print(answer)"]
    return [
        "print(answer.generated_text)",
        "for token in answer.details.tokens:",
        "    print(token.text, token.logprob)",
    ]
