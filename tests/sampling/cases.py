"""One thousand rows of logits, the same in every run: all that a model, or a stage before, may hand over."""

import numpy as np

VOCABULARY = 49_152
ROWS = 1000
FULL_ROWS = 4


def rows(seed=5, count=ROWS, full=FULL_ROWS):
    """Rows of 1 to 200 logits and some of a full vocabulary; float32 values, which engines can hold exactly."""
    random = np.random.default_rng(seed)
    for i in range(count):
        size = VOCABULARY if i < full else int(random.integers(1, 201))
        row = random.normal(random.uniform(-5, 5), random.choice([0.01, 1.0, 3.0, 8.0]), size)
        kind = i % 5
        if kind == 1:  # ties, as of a model in bfloat16
            row = np.round(row * 2) / 2
        elif kind == 2 and size > 1:  # forbidden tokens
            row[random.random(size) < random.choice([0.1, 0.9])] = -np.inf
            row[random.integers(size)] = random.normal()
        elif kind == 3 and i % 2:  # one survivor
            row = np.where(np.arange(size) == random.integers(size), row, -np.inf)
        elif kind == 3 and i % 25 == 8:  # all alike
            row = np.full(size, row[0])
        yield row.astype(np.float32).astype(np.float64)


def has_ties(row):
    finite = row[np.isfinite(row)]
    return np.unique(finite).size < finite.size


def left_of(row):
    """A row as the plain references want it."""
    return {token: float(logit) for token, logit in enumerate(row) if logit > -np.inf}


def tokens(random, vocabulary, most=80):
    """A history with repetitions in it."""
    few = random.integers(0, vocabulary, size=max(1, min(vocabulary, 6)))
    return tuple(int(token) for token in random.choice(few, size=int(random.integers(0, most))))
