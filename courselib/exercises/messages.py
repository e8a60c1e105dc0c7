"""An exercise on what goes wrong: the fault that a message of a server or a client means."""

from __future__ import annotations

import re
from random import Random

from courselib.exercises.judge import Arguments, Exercise, Function, Mistake
from courselib.i18n import N_

# What servers and clients say of each fault, as they said it: llama.cpp b11549, vLLM 0.32.0, and Python's clients.
_FAULTS = {
    "key": [
        'HTTP 401 {"error":{"message":"Invalid API Key","type":"authentication_error","code":401}}',
        'HTTP 401 {"error":"Unauthorized"}',
    ],
    "context": [
        "HTTP 400 request (3001 tokens) exceeds the available context size (1024 tokens), try increasing it",
        "HTTP 400 This model's maximum context length is 2048 tokens. "
        "However, your prompt contains at least 2049 input tokens",
    ],
    "port": ["ConnectionRefusedError: [Errno 111] Connection refused", "ConnectError: All connection attempts failed"],
    "template": [
        "HTTP 400 As of transformers v4.44, default chat template is no longer allowed, "
        "so you must provide a chat template",
        "HTTP 422 Template error: template not found",
    ],
    "memory": [
        "ValueError: To serve at least one request with the model's max seq len (2048), (0.04 GiB KV cache is needed",
        "failed to allocate buffer for kv cache",
    ],
    "file": [
        "tensor 'blk.15.attn_output.weight' data is not within the file bounds, model is corrupted or incomplete",
        "SafetensorError: Error while deserializing header: incomplete metadata, file not fully covered",
    ],
}


# Numbers that are another server's or another request's each time; a status and a version are the same.
_DRAWN = re.compile(r"(?<=\()\d+(?= tokens)|(?<=length is )\d+|(?<=least )\d+|(?<=seq len \()\d+|(?<=blk\.)\d+")


def diagnose(message: str) -> str:
    """Which fault a message means: a key of ``_FAULTS``."""
    return next(fault for fault, messages in _FAULTS.items() if _bare(message) in map(_bare, messages))


def _bare(message: str) -> str:
    return _DRAWN.sub("N", message)


def _by_status(message: str) -> str:
    return "key" if message.startswith("HTTP 4") else diagnose(message)


def _by_memory(message: str) -> str:
    return "memory" if "exceeds" in message or "maximum" in message else diagnose(message)


def _always_port(message: str) -> str:
    return diagnose(message) if message.startswith("HTTP") else "port"


def _message_inputs(source: Random) -> list[Arguments]:
    messages = [message for messages in _FAULTS.values() for message in messages]
    calls: list[Arguments] = [(_scaled(message, source.uniform(0.5, 2)),) for message in messages]
    source.shuffle(calls)
    return calls


def _scaled(message: str, factor: float) -> str:
    """A message with other numbers, which stand to each other as they did."""
    return _DRAWN.sub(lambda found: str(round(int(found[0]) * factor)), message)


EXERCISES: tuple[Exercise, ...] = (
    Function(
        "diagnose",
        "diagnose(message)",
        N_("lesson 15, Two clients, three engines"),
        diagnose,
        _message_inputs,
        (
            Mistake(N_("Not every 4xx is about the key: 400 means that the request itself was refused."), _by_status),
            Mistake(
                N_("A prompt that is too long is no lack of memory: another request would be answered."), _by_memory
            ),
            Mistake(N_("A server that died while starting is taken for a wrong port."), _always_port),
        ),
    ),
)
