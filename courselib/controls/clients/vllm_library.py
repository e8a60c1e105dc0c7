"""vLLM as a library, on the same files that the server has."""

from __future__ import annotations

import textwrap
from typing import Any

from courselib.controls.clients.python_text import Name, assign, call
from courselib.controls.route import Plan
from courselib.engines.endpoint import Endpoint


def program(plan: Plan, prompt: Any, endpoint: Endpoint) -> str:
    """The call by ``vllm.LLM``; guarded, since vLLM starts processes that import the program again."""
    chat = isinstance(prompt, list)
    # Without a limit its library makes 16 tokens; None is the rest of the context, as the server's chat has it.
    limit = {"max_tokens": None} if chat and plan.controls.max_tokens is None else {}
    body = assign("llm", call("LLM", [endpoint.file], endpoint.library_options))
    body += assign("sampling", call("SamplingParams", named={**limit, **plan.arguments}))
    body += assign("answers", call(f"llm.{'chat' if chat else 'generate'}", [prompt, Name("sampling")]))
    body += ["for choice in answers[0].outputs:", "    print(choice.text)"]
    body += ["    print(choice.logprobs)"] if plan.controls.logprobs is not None else []
    lines = ["from vllm import LLM, SamplingParams", "", 'if __name__ == "__main__":']
    return "\n".join(lines) + "\n" + textwrap.indent("\n".join(body), "    ") + "\n"
