"""Exercises on choosing settings, judged by what a live engine does with them, or by what it would need."""

from __future__ import annotations

from itertools import pairwise
from math import exp
from random import Random
from typing import Any

from courselib.exercises.judge import Arguments, Exercise
from courselib.exercises.rules import Rule, Rules
from courselib.i18n import N_

LEAST, MOST = 10, 40
USERS = 2
# Each is answered in under ten tokens where nothing forbids it (SmolLM2-135M, Q4_1, temperature 0).
QUESTIONS = (
    "Answer only yes or no: is water wet?",
    "Answer only yes or no: is fire cold?",
    "Is ice warm? Answer yes or no.",
    "What is 1 + 1? Only the number.",
    "What is 2 + 3? Only the number.",
    "What is the capital of France? One word.",
    "Say yes.",
    "Name one day of the week.",
)
TOKENS = 2048
# MiB: SmolLM2-135M with two users of so many tokens fits with f16, with q8_0, and with q4_0 only.
BUDGETS = {"f16": 300, "q8_0": 240, "q4_0": 210}
DRAWN_MIB = 4
# The finest first; the text names three of them, and a learner may take another that is as fine.
FORMATS = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "iq4_nl", "q4_0")
# Poems about these say their lines again and again where nothing forbids it (SmolLM2-135M, Q4_1, temperature 0): their
# distinct-2 was 0.25 to 0.52. With a repetition penalty of 1.1 it was 0.95 to 0.98, at a typical probability of 0.30 to
# 0.39; with 1.2 that fell to 0.14 to 0.20.
TOPICS = ("the night", "a garden", "the moon", "spring")
DISTINCT, TYPICAL = 0.85, 0.24


def distinct_pairs(text: str) -> float:
    """Different pairs of neighbouring words per word: distinct-2 of Li et al. 2016 (arXiv:1510.03055)."""
    words = text.split()
    return len(set(pairwise(words))) / max(1, len(words))


def typical_probability(logprobs: list[float]) -> float:
    """The geometric mean of the tokens' probabilities."""
    return exp(sum(logprobs) / len(logprobs))


def _repeats(value: dict[str, Any]) -> bool:
    return distinct_pairs(value["text"]) < DISTINCT


def _is_unlikely(value: dict[str, Any]) -> bool:
    return typical_probability(value["logprobs"]) < TYPICAL


def _topics(source: Random) -> list[Arguments]:
    return [(topic,) for topic in source.sample(TOPICS, 2)]


def _questions(source: Random) -> list[Arguments]:
    return [(question,) for question in source.sample(QUESTIONS, 3)]


def _budgets(source: Random) -> list[Arguments]:
    return [(budget + source.randint(-DRAWN_MIB, DRAWN_MIB), TOKENS) for budget in BUDGETS.values()]


def _finest(budget: int) -> str:
    """The finest format of which a budget was drawn."""
    return min(BUDGETS, key=lambda kind: abs(BUDGETS[kind] - budget))


def _rank(settings: dict[str, Any], cache: str) -> int:
    """How coarse the format of one cache is, ``k`` or ``v``."""
    return FORMATS.index(settings.get(f"cache_type_{cache}", "f16"))


def _is_coarser(settings: dict[str, Any], cache: str, budget: int) -> bool:
    """Whether a cache has a coarser format than both could have."""
    return _rank(settings, cache) > FORMATS.index(_finest(budget))


def _is_too_fine(settings: dict[str, Any], budget: int) -> bool:
    """Whether both caches have a format of the next larger budget, whatever memory was computed for them."""
    larger = [kind for kind in BUDGETS if BUDGETS[kind] > BUDGETS[_finest(budget)]]
    return bool(larger) and all(_rank(settings, cache) <= FORMATS.index(larger[-1]) for cache in "kv")


def _each_has(settings: dict[str, Any]) -> float:
    """Tokens for each of the users."""
    return float(settings["context"] / (USERS if settings.get("kv_unified") else settings["parallel"]))


EXERCISES: tuple[Exercise, ...] = (
    Rules(
        "never_short",
        "asked(question)",
        N_("lesson 25, Length and stopping"),
        _questions,
        (
            Rule(N_("Your settings must be a dictionary."), lambda v, *_call: not isinstance(v["settings"], dict)),
            Rule(
                N_("llama.cpp does not know min_tokens: it ignores the name, and says nothing."),
                lambda v, *_call: "min_tokens" in v["settings"] and v["tokens"] < LEAST,
            ),
            Rule(
                N_("Your own limit is under ten tokens."),
                lambda v, *_call: 0 <= v["settings"].get("n_predict", MOST) < LEAST,
            ),
            Rule(
                N_("An answer ended by itself after fewer than ten tokens: a limit is no minimum."),
                lambda v, *_call: v["tokens"] < LEAST,
            ),
            Rule(N_("An answer has more than forty tokens."), lambda v, *_call: v["tokens"] > MOST),
        ),
    ),
    Rules(
        "two_users",
        "planned(budget, tokens)",
        N_("lesson 30, Where the memory goes"),
        _budgets,
        (
            Rule(N_("Your settings must be a dictionary."), lambda v, *_call: not isinstance(v["settings"], dict)),
            Rule(
                N_("One of the two has to wait: the server has fewer than two slots."),
                lambda v, *_call: v["settings"].get("parallel", 1) < USERS,
            ),
            Rule(
                N_("The slots share the context: each of the two has less than it needs."),
                lambda v, _budget, tokens: _each_has(v["settings"]) < tokens,
            ),
            Rule(
                N_("The server would take more than the budget. Keys and values have a cache each, and a format each."),
                lambda v, budget, _tokens: v["mib"] > budget,
            ),
            Rule(
                N_("These formats do not fit into the budget, whatever memory was given for them."),
                lambda v, budget, _tokens: _is_too_fine(v["settings"], budget),
            ),
            Rule(
                N_("A finer number format of the keys would fit into this budget too."),
                lambda v, budget, _tokens: _is_coarser(v["settings"], "k", budget),
            ),
            Rule(
                N_("A finer number format of the values would fit into this budget too."),
                lambda v, budget, _tokens: _is_coarser(v["settings"], "v", budget),
            ),
        ),
    ),
    Rules(
        "varied_poem",
        "written(topic)",
        N_("lesson 23, Repetition: penalties, on breaking the loop and the cost"),
        _topics,
        (
            Rule(N_("Your settings must be a dictionary."), lambda v, _topic: not isinstance(v["settings"], dict)),
            Rule(
                N_("llama.cpp does not know repetition_penalty: it ignores the name, and says nothing."),
                lambda v, _topic: "repetition_penalty" in v["settings"] and _repeats(v),
            ),
            Rule(
                N_(
                    "A poem still repeats itself: a presence penalty costs the tenth repetition no more than the first."
                ),
                lambda v, _topic: "presence_penalty" in v["settings"] and _repeats(v),
            ),
            Rule(
                N_("A poem still repeats itself: its distinct-2 is below 0.85."),
                lambda v, _topic: _repeats(v),
            ),
            Rule(
                N_("A temperature makes the draws random: tokens come that the model considers unlikely."),
                lambda v, _topic: v["settings"].get("temperature", 0) > 0 and _is_unlikely(v),
            ),
            Rule(
                N_("Nothing is repeated, at too high a price: the typical probability is below 0.24."),
                lambda v, _topic: _is_unlikely(v),
            ),
        ),
    ),
)
