"""Exercises on whole programs: what they send is looked at, as it arrives at a server on this machine."""

from __future__ import annotations

from random import Random
from typing import Any

from courselib.exercises.judge import Arguments, Exercise
from courselib.exercises.rigs import CONTEXT, KEY, TEXT
from courselib.exercises.rules import Rule, Rules
from courselib.i18n import N_

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "red", "green", "blue", "black"]


def _prompt(source: Random, words: int) -> str:
    return " ".join(source.choice(WORDS) for _n in range(words))


def _port_inputs(source: Random) -> list[Arguments]:
    return [(_prompt(source, 5), source.randint(5, 90)), (_prompt(source, 3), 1)]


def _repair_inputs(source: Random) -> list[Arguments]:
    return [(_prompt(source, words),) for words in (4, CONTEXT, CONTEXT + 1, 3 * CONTEXT)]


def _last(value: dict[str, Any]) -> dict[str, Any]:
    return dict(value["arrived"][-1])


def _body(value: dict[str, Any]) -> dict[str, Any]:
    return dict(_last(value)["body"])


def _sent(value: dict[str, Any]) -> str:
    return " ".join(_body(value)["prompt"].split())


def _samples(body: dict[str, Any]) -> bool:
    """Whether tokens are drawn: vLLM and llama.cpp take the most likely one at temperature 0, and where top_k is 1."""
    return body.get("temperature") != 0 and body.get("top_k") != 1


_COMMON = (
    Rule(N_("No request arrived at the server whose url your function was given."), lambda v, *_call: not v["arrived"]),
    Rule(
        N_("The last request went to another place than POST /v1/completions below the url."),
        lambda v, *_call: (_last(v)["method"], _last(v)["path"]) != ("POST", "/v1/completions"),
    ),
    Rule(
        N_("The server answered 401: look at how the key stands in the header Authorization."),
        lambda v, *_call: _last(v)["key"] != f"Bearer {KEY}",
    ),
)
_RETURNED = Rule(
    N_("The request was right, but your function does not return the text of the first choice."),
    lambda v, *_call: v["returned"] != TEXT,
)

EXERCISES: tuple[Exercise, ...] = (
    Rules(
        "port_program",
        "generate(url, key, prompt, max_new_tokens)",
        N_("lesson 12, TGI, and leaving it"),
        _port_inputs,
        (
            *_COMMON,
            Rule(N_('The prompt did not arrive as "prompt".'), lambda v, prompt, _n: _body(v)["prompt"] != prompt),
            Rule(
                N_('The length did not arrive as "max_tokens": the new server would choose one of its own.'),
                lambda v, _prompt, n: _body(v)["max_tokens"] != n,
            ),
            Rule(
                N_("The old program decoded greedily. The request that arrived samples."),
                lambda v, *_call: _samples(_body(v)),
            ),
            Rule(
                N_("A setting of TGI arrived, which the new server does not know."),
                lambda v, *_call: bool({"inputs", "parameters", "max_new_tokens", "do_sample"} & set(_body(v))),
            ),
            _RETURNED,
        ),
        records=True,
    ),
    Rules(
        "repair_program",
        "ask(url, key, prompt)",
        N_("lesson 15, Two clients, three engines"),
        _repair_inputs,
        (
            *_COMMON,
            Rule(
                N_("A prompt longer than the context was refused, and none that fits was sent after it."),
                lambda v, _prompt: len(_body(v)["prompt"].split()) > CONTEXT,
            ),
            Rule(
                N_("What was sent is not the end of the prompt: only the beginning may go."),
                lambda v, prompt: not prompt.endswith(_sent(v)),
            ),
            Rule(
                N_(
                    "More was cut off than necessary: a prompt that fits stays whole, and a refusal says how much fits."
                ),
                lambda v, prompt: len(_sent(v).split()) < min(CONTEXT, len(prompt.split())),
            ),
            Rule(
                N_("The right words arrived, but not joined by single spaces."),
                lambda v, _prompt: _body(v)["prompt"] != _sent(v),
            ),
            _RETURNED,
        ),
        records=True,
    ),
)
