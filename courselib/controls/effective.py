"""What an engine says it used, beside what was asked.

llama.cpp's server tells the settings of a call with its answer (its OpenAI routes only when asked with ``verbose``),
and those of a call without controls under ``/props``. vLLM takes defaults from the model's ``generation_config.json``.
TGI tells the seed. Which name is which control is read off the routes' tables, the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from courselib.controls.catalogue import CONTROLS
from courselib.controls.control import Biases
from courselib.controls.route import LOST, Plan, Spelling
from courselib.controls.routes import ROUTES
from courselib.errors import SettingsError
from courselib.i18n import N_, _

# The route in whose names an engine tells of itself, whichever route was asked.
TOLD_AS = {"llama.cpp": "llama.cpp /completion", "vLLM": "vLLM completions", "TGI": "TGI /generate"}
# What vLLM takes from a model's generation_config.json, and its name for each (vLLM 0.32, config/model.py).
GENERATION_CONFIG = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "max_new_tokens": "max_tokens",
}
REQUEST, DEFAULT, NOT_THERE = N_("the request"), N_("the engine's default"), N_("not on this route")
# Engines hold numbers in 32 bits: 0.95 comes back as 0.949999988.
DIGITS = 6
# A value of each kind, to see under which name a route sends it.
PROBES = {float: 1.0, int: 7, bool: True, tuple: ("probe",), dict: Biases({7: 0.5})}


@dataclass(frozen=True)
class Used:
    """One control of a call: what was asked, what the engine says it used, and where that comes from.

    ``used`` is ``None`` where the engine does not have the control.
    """

    control: str
    asked: Any
    used: Any
    origin: str
    differs: bool


def told_settings(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of an engine's answer that says what it used; empty where it says nothing."""
    verbose = answer.get("__verbose") or answer
    found: Mapping[str, Any] = verbose.get("generation_settings") or answer.get("details") or {}
    return found


def told_defaults(engine: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """What a server applies where nothing is sent, by control, for ``Route.plan``.

    Args:
        engine: as ``Route.engine``.
        told: llama.cpp's ``/props``, or the ``generation_config.json`` that vLLM reads.
    """
    if engine == "llama.cpp":
        return by_control(engine, told.get("default_generation_settings", {}).get("params", {}))
    config = {name: told[key] for key, name in GENERATION_CONFIG.items() if told.get(key) is not None}
    return by_control(engine, config)


def by_control(engine: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """An engine's settings by control; what it says in a value of its own (-1 for none) is left out."""
    found = {}
    for name, spelling in ROUTES[TOLD_AS[engine]].table.items():
        key = _wire_name(name, spelling)
        value = _as_control(name, told[key]) if key in told else None
        # What the route would never send, such as 0 alternatives, is the engine's own way to say none.
        if value is not None and spelling.write and _as_control(name, spelling.write(value)[key]) == value:
            found[name] = value
    return found


def compare(plan: Plan, told: Mapping[str, Any]) -> list[Used]:
    """What was asked and what the engine says of it, for the controls that were asked for or are told.

    Args:
        plan: of the call; with ``defaults``, what differs from these is marked, too.
        told: what ``told_settings`` found in the answer.
    """
    used = by_control(plan.route.engine, told)
    rows = []
    for line in plan.report:
        if line.control in used:
            value = used[line.control]
            expected = line.applies if line.asked is None else line.asked
            # Words, such as "the rest of the context", can be compared with no number.
            differs = value != expected and not isinstance(expected, str)
            rows.append(Used(line.control, line.asked, value, _(REQUEST if line.arguments else DEFAULT), differs))
        elif line.asked is not None and line.verdict in LOST:
            rows.append(Used(line.control, line.asked, None, _(NOT_THERE), True))
    return rows


def _wire_name(name: str, spelling: Spelling) -> str:
    """The argument that carries the control's value; empty where the route has none."""
    if spelling.write is None:
        return ""
    probe = PROBES[CONTROLS[name].kind]
    arguments = spelling.write(probe)
    return next((key for key, value in arguments.items() if _as_control(name, value) == probe), "")


def _as_control(name: str, value: Any) -> Any:
    """A value as the control has it; ``None`` where it is none of the control's."""
    if CONTROLS[name].kind is float and isinstance(value, float):
        value = float(f"{value:.{DIGITS}g}")
    if CONTROLS[name].kind is dict and isinstance(value, list):
        # llama.cpp takes pairs, and tells them as objects; with ignore_eos it adds the end's tokens, their bias a null.
        pairs = [(item["token"], item["bias"]) if isinstance(item, dict) else item for item in value]
        value = {token: bias for token, bias in pairs if bias is not None}
    try:
        return CONTROLS[name].check(value)
    except SettingsError:
        return None
