"""What the experiments on controls ask: messages whose answers are known to be short, open, or repeating."""

import pytest

from courselib.controls.controls import Controls
from courselib.controls.route import Verdict
from tests import sure
from tests.controls.live import Refused

# A long answer; one that the model soon ends itself, and surely.
OPEN, LENGTH = "Tell me a story.", 6
SHORT, LIMIT = sure.QUESTION, 16
# A marker that begins a turn, and its token.
MARKER, SPECIAL = "<|im_start|>", 1
# "A" is the likeliest first token and is in the prompt so many times; "I" comes next and is not.
REPEATED, TIMES, FIRST, SECOND = "A\nA\nA\nA", 4, "A", "I"
LONG_AGO = REPEATED + "\n" + "one two three four five six seven eight nine ten " * 8
WORD = " cat"
# A token with this bias is taken, whatever the others are.
FORCED, MOST = 60.0, 24
HOT, SEEDS = 1.5, (1, 2, 3)
# Chance that repeats on any machine: without the long tail, in which a thousandth of a logit decides.
CHANCE = {"temperature": 1.0, "top_p": 0.7}
NOISE = 0.3  # logits; those of llama.cpp differ by some hundredths with what of the prompt is in its cache

# DRY at its strongest: no repeated token is left, since no other token ends a run either.
DRY = {"dry_multiplier": 100.0, "dry_base": 4.0, "dry_allowed_length": 0, "dry_sequence_breakers": ["@"]}


def greedy(live, message=OPEN, length=LENGTH, **controls):
    """The likeliest tokens' text, with controls beside."""
    return live.ask(message, temperature=0, max_tokens=length, **controls).text


def likeliest(live):
    """``greedy`` without controls, asked once for each route; that it repeats is shown for the temperature."""
    if "likeliest" not in live.known:
        live.known["likeliest"] = greedy(live)
    return live.known["likeliest"]


def drawn(live, seeds=SEEDS, **controls):
    """What comes by chance, for each seed, with controls beside."""
    calls = [{"temperature": HOT, "max_tokens": LENGTH, "seed": seed, **controls} for seed in seeds]
    return [answer.text for answer in live.ask_all(OPEN, calls)]


def refuses(live, **controls):
    """The plan leaves a value out because the route takes it not; sent all the same, it is refused."""
    ((name, value),) = controls.items()
    line = live.route.plan(Controls(**controls)).line(name)
    assert (line.verdict, line.arguments) == (Verdict.REFUSED, {})
    with pytest.raises(Refused):
        live.ask(OPEN, raw=live.route.table[name].write(value), max_tokens=1)
