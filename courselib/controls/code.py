"""The program that makes the same call without us, one for each client.

Every program runs as it stands, imports nothing of ours, and has no argument that the call does not have.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from courselib.engines.server import Server

OPENAI_IMPORT = "from openai import OpenAI"
HUB_IMPORT = "from huggingface_hub import InferenceClient"
# Arguments of huggingface_hub's chat_completion by their OpenAI name; it has no others of ours.
HUB_NAMES = ("temperature", "top_p", "max_tokens", "seed", "logprobs", "top_logprobs")


def chat_programs(server: Server, messages: list[dict[str, str]], options: Mapping[str, Any]) -> dict[str, str]:
    """Programs that stream this chat call, by the name of the client they use."""
    call = {name: value for name, value in options.items() if value is not None}
    hub_call = {name: call[name] for name in HUB_NAMES if name in call}
    return {
        "openai": _python(OPENAI_IMPORT, "chat.completions.create", server, messages, call),
        "huggingface_hub": _python(HUB_IMPORT, "chat_completion", server, messages, hub_call),
        "curl": _curl(server, messages, call),
    }


def _literal(value: object, indent: str = "    ") -> str:
    """A value as Python text in the usual style: double quotes, one message a line."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        inside = "".join(f"{indent}    {_literal(item, indent + '    ')},\n" for item in value)
        return f"[\n{inside}{indent}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(key)}: {_literal(item)}" for key, item in value.items()) + "}"
    return repr(value)


def _python(
    import_line: str, method: str, server: Server, messages: list[dict[str, str]], call: Mapping[str, Any]
) -> str:
    """A program for a Python client: OpenAI's and Hugging Face's differ in their names only."""
    arguments = {"model": server.model, "messages": messages, **call, "stream": True}
    lines = [
        import_line,
        "",
        f"client = {import_line.rpartition(' ')[2]}(",
        f"    base_url={_literal(server.base_url)},",
        f"    api_key={_literal(server.key or 'none')},",
        ")",
        f"stream = client.{method}(",
        *(f"    {name}={_literal(value)}," for name, value in arguments.items()),
        ")",
        "for chunk in stream:",
        "    if chunk.choices and chunk.choices[0].delta.content:",
        '        print(chunk.choices[0].delta.content, end="", flush=True)',
    ]
    return "\n".join(lines) + "\n"


def _curl(server: Server, messages: list[dict[str, str]], call: Mapping[str, Any]) -> str:
    body = {"model": server.model, "messages": messages, **call, "stream": True}
    lines = [
        f"curl --no-buffer {server.base_url}/chat/completions",
        f"-H {shlex.quote(f'Authorization: Bearer {server.key}')}",
        "-H 'Content-Type: application/json'",
        f"-d {shlex.quote(json.dumps(body, ensure_ascii=False, indent=2))}",
    ]
    return " \\\n  ".join(lines) + "\n"
