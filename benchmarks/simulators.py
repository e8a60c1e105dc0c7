"""How fast the simulators of KV caches and of batching are, and how their cost grows with the number of tokens.

    python -m benchmarks.simulators

Each serves 1,000,000 tokens and then 2,000,000, in processor time, the best of three. Twice the tokens should take
twice as long. Prints a table in Markdown, which ``benchmarks/results/simulators.md`` keeps. Exits with 1 where a
million tokens take longer than the limit, or where doubling costs clearly more than twice.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

from courselib.memory.batching import Job, schedule
from courselib.memory.paged_cache import PagedCache
from courselib.memory.prefix_cache import PrefixCache
from courselib.memory.reserved_cache import ReservedCache
from courselib.memory.serving import Request, serve

TOKENS, MEAN, RUNS = 1_000_000, 128, 3
LIMIT_S, MOST_GROWTH = 2.0, 2.5
BLOCK = 16


def lengths(tokens: int) -> list[int]:
    """Of answers, exponentially distributed, this many tokens in all."""
    source, found, left = random.Random(0), [], tokens
    while left:
        found.append(min(left, max(1, round(source.expovariate(1 / MEAN)))))
        left -= found[-1]
    return found


def batching(scheduler: str) -> Callable[[int], Callable[[], int]]:
    """Both schedulers of ``batching``, on eight slots."""

    def prepare(tokens: int) -> Callable[[], int]:
        jobs = [Job(length) for length in lengths(tokens)]
        return lambda: schedule(jobs, 8, scheduler).tokens

    return prepare


def serving(kind: str) -> Callable[[int], Callable[[], int]]:
    """``serve`` from a cache that has room for some sixteen requests."""

    def prepare(tokens: int) -> Callable[[], int]:
        requests = [Request(prompt=16, output=length) for length in lengths(tokens)]
        longest = max(request.prompt + request.output for request in requests)
        size = 16 * (-(-longest // BLOCK) * BLOCK)

        def run() -> int:
            cache = PagedCache(size // BLOCK, BLOCK) if kind == "paged" else ReservedCache(size, longest)
            return serve(requests, cache, max_running=16).generated

        return run

    return prepare


def prefixes(tokens: int) -> Callable[[], int]:
    """Prompts of 512 tokens, of which the first 256 are one of eight system prompts."""
    source = random.Random(0)
    systems = [[source.randrange(49_152) for _ in range(256)] for _ in range(8)]
    prompts = [source.choice(systems) + [source.randrange(49_152) for _ in range(256)] for _ in range(tokens // 512)]

    def run() -> int:
        cache = PrefixCache(blocks=1025, block_size=BLOCK)
        for prompt in prompts:
            cache.finish(cache.start(prompt))
        return cache.queries

    return run


SIMULATORS: dict[str, Callable[[int], Callable[[], int]]] = {
    "batching, static": batching("static"),
    "batching, continuous": batching("continuous"),
    "serving from a paged cache": serving("paged"),
    "serving from a reserved cache": serving("reserved"),
    "prefix cache": prefixes,
}


def seconds(run: Callable[[], int]) -> float:
    """Processor time, so that a busy neighbour does not count: the best of some runs."""
    times = []
    for _run in range(RUNS):
        begin = time.process_time()
        run()
        times.append(time.process_time() - begin)
    return min(times)


def main() -> int:
    """Measure each and print the table."""
    print(f"| simulator | 1,000,000 tokens, s (limit {LIMIT_S:g}) | 2,000,000 tokens, s | ratio |\n|---|---|---|---|")
    good = True
    for name, prepare in SIMULATORS.items():
        one, two = (seconds(prepare(tokens)) for tokens in (TOKENS, 2 * TOKENS))
        good = good and one <= LIMIT_S and two <= MOST_GROWTH * one
        print(f"| {name} | {one:.3f} | {two:.3f} | {two / one:.2f} |", flush=True)
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
