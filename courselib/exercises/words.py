"""Exercises without a program: predict before running, and explain in words."""

from __future__ import annotations

from random import Random
from typing import Any

from courselib.exercises.judge import Arguments, Exercise
from courselib.exercises.rules import Rule, Rules
from courselib.i18n import N_

LEAST_WORDS = 40
CHOICES = {
    "temperature": {"sharper", "flatter", "unchanged"},
    "top_k": {"one", "two", "many"},
    "seed": {"same", "different"},
    "greedy": {"same", "different"},
}


def predicted(temperature: float, top_k: int) -> dict[str, str]:
    """What happens with such settings, in the words of ``CHOICES``."""
    change = "flatter" if temperature > 1 else "sharper" if temperature < 1 else "unchanged"
    left = {1: "one", 2: "two"}.get(top_k, "many")
    return {"temperature": change, "top_k": left, "seed": "same", "greedy": "same"}


def _settings(source: Random) -> list[Arguments]:
    low, high = round(source.uniform(0.2, 0.9), 1), round(source.uniform(1.2, 3), 1)
    some = [1, 2, source.randint(5, 90)]
    source.shuffle(some)
    return list(zip((high, low, 1.0), some, strict=True))


def _once(_source: Random) -> list[Arguments]:
    return [()]


def _is_complete(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == set(CHOICES) and all(isinstance(v, str) for v in value.values())


def _is_chosen(value: dict[str, str]) -> bool:
    return all(value[key] in words for key, words in CHOICES.items())


def words_in(value: Any) -> int:
    """How many words a text has."""
    return len(value.split())


EXERCISES: tuple[Exercise, ...] = (
    Rules(
        "predict_sampling",
        "predictions(temperature, top_k)",
        N_("lesson 21, From logits to a token"),
        _settings,
        (
            Rule(
                N_("Return a dictionary with exactly the four keys of the table, each with a word."),
                lambda value, *_call: not _is_complete(value),
            ),
            Rule(
                N_("A value is none of the words in its row of the table."), lambda value, *_call: not _is_chosen(value)
            ),
            Rule(
                N_("The temperature divides the logits: what becomes of the distance between two of them?"),
                lambda value, *call: value["temperature"] != predicted(*call)["temperature"],
            ),
            Rule(
                N_("top_k: count the tokens that are left to draw from, before you think of the temperature."),
                lambda value, *call: value["top_k"] != predicted(*call)["top_k"],
            ),
            Rule(
                N_("seed: what is random in a draw is a stream of numbers. What does a seed fix?"),
                lambda value, *call: value["seed"] != predicted(*call)["seed"],
            ),
            Rule(
                N_("greedy: does a choice of the highest logit use a random number at all?"),
                lambda value, *call: value["greedy"] != predicted(*call)["greedy"],
            ),
        ),
    ),
    Rules(
        "explain_seeds",
        "explanation()",
        N_("lesson 22, Seeds and repeatability"),
        _once,
        (
            Rule(N_("Return your explanation as one text."), lambda value: not isinstance(value, str)),
            Rule(N_("The text is empty."), lambda value: not value.strip()),
            Rule(
                N_("This is short for three questions; write at least forty words. A person grades what it says."),
                lambda value: words_in(value) < LEAST_WORDS,
            ),
            Rule(
                N_("The same words come again and again; write an explanation of your own."),
                lambda value: len(set(value.lower().split())) < LEAST_WORDS / 2,
            ),
        ),
        by_hand=True,
    ),
)
