"""What the tests on live engines share, and ``benchmarks/agreement.py`` with them: settings drawn across the range."""

from collections import Counter

import numpy as np

from courselib.controls.controls import Controls
from courselib.controls.routes import ROUTES
from courselib.observe.draws import draw
from courselib.sampling import Context, agreement, breakers_within, llama_cpp, pipeline
from courselib.sampling.context import LLAMA_CPP_ORDER

# Something to repeat, for penalties and DRY, and many ways to go on.
PROMPT = "Once upon a time there was a red cat, a red dog and a red"
# vLLM computes a prompt anew for each token drawn, but for whole blocks, of 32 tokens, that it has in its cache: this
# one has a block and one token, which is a ninth of the work that eight more tokens would be.
LONG_PROMPT = f"In the old garden by the river the children told each other long stories about animals. {PROMPT}"
BLOCK = 32
NUMBER = 24
DRAWS = 2048
GREEDY_DRAWS = 16
# Of these, so many in the tests; the benchmark runs all, with more draws.
FEW = 6
# All of an engine's settings together are wrongly rejected once in a thousand runs (Bonferroni).
LEVEL = 0.001 / NUMBER

RANGES = {
    "temperature": (0.1, 2),
    "top_k": (0, 200),
    "top_p": (0.05, 1),
    "min_p": (0, 0.5),
    "typical_p": (0.1, 1),
    "repetition_penalty": (0.7, 1.8),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "dry_multiplier": (0, 3),
    "dry_base": (1, 3),
    "dry_allowed_length": (0, 5),
}
HAVE = {
    "llama.cpp": tuple(RANGES),
    "llama_cpp": tuple(RANGES)[:8],
    "vllm": ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty"),
    "tgi-gateway": ("temperature", "top_k", "top_p", "typical_p", "repetition_penalty", "frequency_penalty"),
}


def settings(engine, number=NUMBER):
    """Controls of an engine, drawn across their ranges and each left out now and then; the same in every run."""
    random = np.random.default_rng(24)
    for i in range(number):
        given = {}
        for name in HAVE[engine]:
            low, high = RANGES[name]
            value = (
                random.integers(low, high + 1) if name in ("top_k", "dry_allowed_length") else random.uniform(low, high)
            )
            # For DRY, llama.cpp looks through the whole vocabulary with each request: one setting in eight has it.
            chosen = random.random() < 0.45 if not name.startswith("dry") else i % 8 == 7
            if chosen:
                given[name] = value if isinstance(value, float) else int(value)
        if i % 5 == 1:
            given["temperature"] = 0.0  # greedily, engines do not even cut alike
        biased = int(random.integers(0, 1000)), float(random.uniform(-3, 8))
        if engine != "tgi-gateway" and random.random() < 0.2:
            given["logit_bias"] = dict([biased])
        if engine == "tgi-gateway":
            # It is greedy without a control that asks for chance.
            given.setdefault("temperature", 1.0)
        yield Controls(**given)


def orders(number=NUMBER):
    """For llama.cpp: an order of its stages, and what is no control; every other time its default chain."""
    random = np.random.default_rng(25)
    for i in range(number):
        names = [str(name) for name in random.permutation(LLAMA_CPP_ORDER)[: random.integers(3, 10)]]
        chance = {"xtc_probability": float(random.uniform(0, 1)), "xtc_threshold": float(random.uniform(0.02, 0.3))}
        yield {"order": names, **chance} if i % 2 else {}


def predicted(engine, controls, told, **more):
    """What should be drawn, from what the engine (or one like it) told of the next token."""
    context = Context(told.prompt, breakers=breakers_within(told.pieces))
    made = llama_cpp(controls, context, **more) if more else pipeline(engine, controls, context)
    return made.probabilities(told.logits)


def request_fields(more):
    """The keywords of ``llama_cpp`` as fields of a request."""
    return {{"order": "samplers"}.get(name, name): value for name, value in more.items()}


def completion_arguments(controls):
    """Controls as llama.cpp's own route spells them."""
    return ROUTES["llama.cpp /completion"].plan(controls).arguments


def drawn(engine, controls, n=DRAWS, prompt=PROMPT, **more):
    """How often a live engine drew each token; greedily all draws are one, and some engines take a request for each."""
    n = min(n, GREEDY_DRAWS) if controls.temperature == 0 else n
    return sum(draw(engine, prompt, controls, n, **more), Counter())


def compare(counts, probabilities):
    return agreement(counts, probabilities, level=LEVEL)
