"""The program that makes the same call without us, one for each client.

Every program runs as it stands, imports nothing of ours, and has no argument that the call does not have.
"""

from __future__ import annotations

import json
import pprint
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from courselib.engines.server import Server

# Arguments of huggingface_hub's chat_completion by their OpenAI name; it has no others of ours.
HUB_NAMES = ("temperature", "top_p", "max_tokens", "seed", "logprobs", "top_logprobs")


def chat_programs(server: Server, messages: list[dict[str, str]], options: Mapping[str, Any]) -> dict[str, str]:
    """Programs that stream this chat call, by the name of the client they use."""
    call = {name: value for name, value in options.items() if value is not None}
    return {
        "openai": _openai(server, messages, call),
        "huggingface_hub": _hub(server, messages, {name: call[name] for name in HUB_NAMES if name in call}),
        "curl": _curl(server, messages, call),
    }


def _literal(value: object, indent: int = 4) -> str:
    text = pprint.pformat(value, width=74, sort_dicts=False)
    return text.replace("\n", "\n" + " " * indent)


def _arguments(call: Mapping[str, Any]) -> str:
    return "".join(f"    {name}={_literal(value)},\n" for name, value in call.items())


def _openai(server: Server, messages: list[dict[str, str]], call: Mapping[str, Any]) -> str:
    return (
        "from openai import OpenAI\n\n"
        f"client = OpenAI(\n    base_url={server.base_url!r},\n    api_key={server.key or 'none'!r},\n)\n"
        "stream = client.chat.completions.create(\n"
        f"    model={server.model!r},\n    messages={_literal(messages)},\n{_arguments(call)}    stream=True,\n)\n"
        "for chunk in stream:\n"
        "    if chunk.choices and chunk.choices[0].delta.content:\n"
        '        print(chunk.choices[0].delta.content, end="", flush=True)\n'
    )


def _hub(server: Server, messages: list[dict[str, str]], call: Mapping[str, Any]) -> str:
    return (
        "from huggingface_hub import InferenceClient\n\n"
        f"client = InferenceClient(\n    base_url={server.base_url!r},\n    api_key={server.key or 'none'!r},\n)\n"
        "stream = client.chat_completion(\n"
        f"    model={server.model!r},\n    messages={_literal(messages)},\n{_arguments(call)}    stream=True,\n)\n"
        "for chunk in stream:\n"
        "    if chunk.choices and chunk.choices[0].delta.content:\n"
        '        print(chunk.choices[0].delta.content, end="", flush=True)\n'
    )


def _curl(server: Server, messages: list[dict[str, str]], call: Mapping[str, Any]) -> str:
    body = {"model": server.model, "messages": messages, **call, "stream": True}
    lines = [
        f"curl --no-buffer {server.base_url}/chat/completions",
        f"-H {shlex.quote(f'Authorization: Bearer {server.key}')}",
        "-H 'Content-Type: application/json'",
        f"-d {shlex.quote(json.dumps(body, ensure_ascii=False, indent=2))}",
    ]
    return " \\\n  ".join(lines) + "\n"
