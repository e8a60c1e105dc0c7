"""How long a redraw takes: all stages of an engine's pipeline on a full vocabulary, against one plain sort and softmax.

    python benchmarks/sampling.py

Processor time, medians of runs in turn: what else the machine does is not in it, but for the cache. Goal: under 50 ms
for llama.cpp's default chain.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from courselib.controls.controls import Controls
from courselib.sampling import Context, pipeline

VOCABULARY = 49_152
ROUNDS = 50
HISTORY = tuple(range(500))
CASES = {
    "llama.cpp's defaults": ("llama.cpp", Controls()),
    "llama.cpp, all that can be on": (
        "llama.cpp",
        Controls(
            top_k=0, typical_p=0.95, top_p=0.99, repetition_penalty=1.2, frequency_penalty=0.1, dry_multiplier=0.8
        ),
    ),
    "vLLM, top_p alone": ("vllm", Controls(temperature=1.5, top_p=0.95)),
    "TGI, typical_p alone": ("tgi", Controls(temperature=1.0, typical_p=0.95)),
    "transformers' defaults": ("transformers", Controls()),
}


def seconds(run: Callable[[], object]) -> float:
    """Processor time of one run."""
    started = time.process_time()
    run()
    return time.process_time() - started


def main() -> None:
    """Print the medians and their ratio."""
    logits = np.random.default_rng(0).normal(0, 3, VOCABULARY)

    def plain() -> object:
        ordered = np.sort(logits)[::-1]
        weights = np.exp(ordered - ordered[0])
        return weights / weights.sum()

    for words, (engine, controls) in CASES.items():
        made = pipeline(engine, controls, Context(prompt=HISTORY))

        def redraw(made=made) -> object:
            outcome = made.run(logits)
            return [step.sentence for step in outcome.steps], outcome.probabilities

        pairs = [(seconds(redraw), seconds(plain)) for _ in range(ROUNDS)]
        ours, theirs = (statistics.median(times) * 1000 for times in zip(*pairs, strict=True))
        print(f"{words}: {ours:.2f} ms, {ours / theirs:.1f} times a sort and a softmax ({theirs:.2f} ms)")


if __name__ == "__main__":
    main()
