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
PREDICTED = {"temperature": "flatter", "top_k": "one", "seed": "same", "greedy": "same"}


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
        "predictions()",
        N_("lesson 21, From logits to a token"),
        _once,
        (
            Rule(
                N_("Return a dictionary with exactly the four keys of the table, each with a word."),
                lambda value: not _is_complete(value),
            ),
            Rule(N_("A value is none of the words in its row of the table."), lambda value: not _is_chosen(value)),
            Rule(
                N_("A temperature above 1 divides the logits: what becomes of the distance between two of them?"),
                lambda value: value["temperature"] != PREDICTED["temperature"],
            ),
            Rule(
                N_("top_k: count the tokens that are left to draw from, before you think of the temperature."),
                lambda value: value["top_k"] != PREDICTED["top_k"],
            ),
            Rule(
                N_("seed: what is random in a draw is a stream of numbers. What does a seed fix?"),
                lambda value: value["seed"] != PREDICTED["seed"],
            ),
            Rule(
                N_("greedy: does a choice of the highest logit use a random number at all?"),
                lambda value: value["greedy"] != PREDICTED["greedy"],
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
