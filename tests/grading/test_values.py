"""Values that no answer has, before every judge: none earns a point, none holds it up, none takes it down."""

import json
import math
import time

import pytest

from courselib.calls import Outcome
from courselib.exercises.catalogue import exercises
from courselib.exercises.rules import Rules
from courselib.grading.measures import MEASURES


def nested(value, depth=38):
    for _ in range(depth):
        value = [value]
    return value


# As large as the longest line that is read from a worker, and as deep.
VALUES = {
    "nan": math.nan,
    "infinite": math.inf,
    "minus-infinite": -math.inf,
    "huge": 10**4000,
    "minus-huge": -(10**4000),
    "true": True,
    "none": None,
    "text": "x",
    "long-text": "a " * 500_000,
    "long-spaces": " " * 1_000_000,
    "long-brackets": "{" * 1_000_000,
    "long-list": [0] * 300_000,
    "nan-list": [math.nan] * 100_000,
    "huge-list": [10**300] * 3000,
    "list-of-lists": [[]] * 300_000,
    "deep": nested(0),
    "dictionary": {str(n): n for n in range(80_000)},
    "empty-list": [],
    "empty-dictionary": {},
    "empty-text": "",
    "zero": 0,
    "minus-one": -1,
    "pair": [math.nan, [math.nan]],
    "surrogate": "\ud800",
}


@pytest.mark.parametrize("exercise", exercises().values(), ids=exercises().keys())
def test_no_judge_is_taken_in(exercise):
    calls = exercise.calls(3)
    begun = time.process_time()
    for name, value in VALUES.items():
        if exercise.by_hand and name.startswith("long"):
            continue
        for each in shapes(exercise, value):
            verdict = exercise.verdict(calls, [Outcome(each)] * len(calls))
            assert verdict, name
            assert len(verdict) < 3000
            json.dumps(verdict)
    # All together: one that holds the judge up takes minutes.
    assert time.process_time() - begun < 60


def shapes(exercise, value):
    """The value as it reaches the judge: by itself, and inside of what the grader puts around it."""
    if exercise.name in MEASURES:
        yield {
            "settings": value if isinstance(value, dict) else {"context": value, "parallel": value},
            "mib": 1e9,
            "tokens": 0,
        }
    elif isinstance(exercise, Rules) and exercise.records:
        request = {"method": "POST", "path": "/v1/completions", "key": "Bearer course-key", "body": value}
        yield {"returned": value, "raised": "", "arrived": [request] * 3}
        yield {"returned": value, "raised": "", "arrived": [request | {"body": {"prompt": value, "max_tokens": value}}]}
    else:
        yield value
