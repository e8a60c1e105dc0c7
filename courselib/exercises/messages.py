"""Exercises on what goes wrong: the fault that a message means, and what repairs it."""

from __future__ import annotations

import re
from functools import partial
from random import Random
from typing import Any

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


def repaired(settings: dict[str, Any], error: str, *, fault: str = "") -> dict[str, Any]:
    """Settings of a launch that failed with such an error, changed so that it does not."""
    fixed = dict(settings)
    if "is cut short" in error:
        fixed["model"] = settings["model"] if fault == "file" else "smollm2-135m"
    elif "FlashAttention" in error:
        fixed |= {"cache_type_v": "f16"} if fault == "format" else {"flash_attn": "on"}
    elif "more than batch" in error:
        fixed |= {"ubatch": settings["batch"]} if fault == "lower" else {"batch": settings["ubatch"]}
    elif fault == "next":
        fixed["port"] += 1
    else:
        del fixed["port"]
    return {name: fixed[name] for name in fixed if name in _NEEDED} if fault == "all" else fixed


_NEEDED = ("model", "flash_attn")


def _launch_inputs(source: Random) -> list[Arguments]:
    """Launches that the course refuses or that fail, with its sentences (``courselib.launch``)."""
    context, ubatch, port = 256 * source.randint(1, 8), 32 * source.randint(3, 16), source.randint(20_000, 60_000)
    whole, batch = 98_362_432, ubatch // 2
    part = source.randint(10**6, whole - 1)
    kind = source.choice(["q8_0", "q4_0"])
    calls: list[Arguments] = [
        (
            {"model": "models/model.gguf", "context": context},
            f"models/model.gguf is cut short ({part} bytes of {whole}); download it again.",
        ),
        (
            {"context": context, "cache_type_v": kind, "flash_attn": "off"},
            f"cache_type_v='{kind}' needs FlashAttention; set flash_attn to 'on', or cache_type_v to 'f16'.",
        ),
        (
            {"context": context, "batch": batch, "ubatch": ubatch},
            f"ubatch is {ubatch}, more than batch ({batch}); lower ubatch or raise batch.",
        ),
        (
            {"context": context, "port": port},
            f"Port {port} on 127.0.0.1 is in use; stop what listens there, or leave port out for a free one.",
        ),
    ]
    source.shuffle(calls)
    return calls


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
    Function(
        "repair_launch",
        "repaired(settings, error)",
        N_("lesson 10, llama.cpp, on starting the server"),
        repaired,
        _launch_inputs,
        tuple(
            Mistake(says, partial(repaired, fault=fault))
            for fault, says in (
                ("file", N_("The cut file is still the model: no setting repairs a file.")),
                ("format", N_("The format of the values was changed; it must stay, so FlashAttention has to be on.")),
                ("lower", N_("ubatch was lowered; it must stay, so batch has to be raised.")),
                ("next", N_("Another port was guessed; that one may be in use too.")),
                ("all", N_("Settings that caused no fault were removed as well.")),
            )
        ),
    ),
)
