"""How well is vLLM's memory predicted on a CPU? Its own blocks and tokens, and the system's view, beside the formulas.

    python -m benchmarks.vllm_memory              a table in Markdown; ``benchmarks/results/vllm_memory.md`` keeps it
    python -m benchmarks.vllm_memory --count 4    only the first four of its configurations

SmolLM2-135M, and Gemma 3 270M where it has been fetched (``python -m tests.gemma``). vLLM needs three processes, which
share pages of memory, so that PSS is compared: it counts no page twice. It is asked when the server is ready; the peak
before that is the largest of the sums that were seen once a second while it started.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psutil

import courselib
from courselib import machine
from courselib.engines.vllm.checks import cache_options
from courselib.engines.vllm.settings import VllmSettings
from courselib.errors import CourseError
from courselib.memory import MIB, from_config, vllm
from courselib.memory.fit import error as allowed
from courselib.models import hf_model
from tests import gemma
from tests.memory.live import words

SMOLLM2, GEMMA = "SmolLM2-135M", "Gemma 3 270M"
CONFIGURATIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    (SMOLLM2, {"kv_cache_memory": 512 * MIB, "max_model_len": 2048}),
    (SMOLLM2, {"kv_cache_memory": 64 * MIB, "max_model_len": 512, "block_size": 32}),
    (GEMMA, {"kv_cache_memory": 200 * MIB, "max_model_len": 4096, "block_size": 64, "max_num_batched_tokens": 512}),
    (SMOLLM2, {"kv_cache_memory": 1024 * MIB, "max_model_len": 8192, "max_num_seqs": 4}),
    (SMOLLM2, {"kv_cache_memory": 256 * MIB, "max_model_len": 2048, "block_size": 64, "dtype": "float32"}),
    (SMOLLM2, {"kv_cache_memory": 256 * MIB, "max_model_len": 2048, "max_num_seqs": 256}),
    (SMOLLM2, {"kv_cache_memory": 256 * MIB, "max_model_len": 8192, "max_num_batched_tokens": 8192}),
    (SMOLLM2, {"kv_cache_memory": 256 * MIB, "max_model_len": 2048, "enable_prefix_caching": False}),
    (SMOLLM2, {"kv_cache_memory": 2048 * MIB, "max_model_len": 2048}),
    (GEMMA, {"kv_cache_memory": 512 * MIB, "max_model_len": 8192}),
    (GEMMA, {"kv_cache_memory": 256 * MIB, "max_model_len": 2048, "dtype": "float32"}),
    (SMOLLM2, {"kv_cache_memory": 128 * MIB, "max_model_len": 1000, "block_size": 96}),
)
HEAD = (
    "| model | settings | blocks | reported | tokens | printed | weights | the rest | measured | total | PSS "
    "| error | USS | peak PSS | start |\n|" + "---|" * 15
)
LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class Run:
    """One start: what was predicted and reported; sizes in bytes."""

    blocks: tuple[int, int]
    tokens: tuple[int, int | None]
    weights: int
    kv_cache: int
    total: int
    uss: int
    pss: int
    peak: int
    start_s: float

    @property
    def runtime(self) -> int:
        """What is neither weights nor KV cache."""
        return self.pss - self.weights - self.kv_cache


class Peak:
    """The largest PSS of everything that this process has started."""

    def __init__(self) -> None:
        self.size, self._next = 0, 0.0

    def look(self, _elapsed_s: float) -> None:
        """Once a second, add it all up."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + LOOK_EVERY_S
        found = 0
        for process in psutil.Process().children(recursive=True):
            try:
                found += process.memory_full_info().pss
            except psutil.Error:  # it has ended meanwhile
                continue
        self.size = max(self.size, found)


def configurations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each model's name, what ``launch`` takes as the model, and the settings."""
    places = {SMOLLM2: "smollm2-135m"}
    if (file := gemma.find()) is not None:
        places[GEMMA] = str(file)
    for name, settings in CONFIGURATIONS:
        if name in places:
            yield name, places[name], settings


def start(model: str, settings: dict[str, Any]) -> Run:
    """Start vLLM with these settings, and look at it once it is ready."""
    peak = Peak()
    with courselib.launch("vllm", model=model, on_wait=peak.look, on_note=lambda _note: None, **settings) as server:
        uss, pss = server.memory_shares()
        told, reported = server.http.get("/metrics").text, server.memory()
        ready, start_s = server.settings, server.start_s
    assert ready is not None
    assert uss is not None and pss is not None, "PSS is known on Linux alone"
    found = hf_model(ready.model)
    shape = from_config(found.config, found.by_tensor)
    kept = settings["kv_cache_memory"]
    options = {
        **cache_options(VllmSettings(model=model, **settings), on_cpu=True),
        "max_model_len": settings["max_model_len"],
    }
    cache, estimate = vllm.cache(shape, kept, **options), vllm.estimate(shape, kept, dtype=options["dtype"])
    assert cache is not None and estimate.weights is not None
    blocks = int(re.findall(r'num_gpu_blocks="(\d+)"', told)[0])
    return Run(
        (cache.blocks, blocks), (cache.tokens, reported.kv_cache_tokens), estimate.weights, kept, estimate.known,
        uss, pss, max(peak.size, pss), start_s or 0.0,
    )  # fmt: skip


def row(name: str, settings: dict[str, Any], run: Run) -> str:
    """One start as a line of the table, sizes in MiB."""
    shown = {**settings, "kv_cache_memory": f"{settings['kv_cache_memory'] // MIB} MiB"}
    rest = run.total - run.weights - run.kv_cache
    sizes = [f"{size / MIB:.0f}" for size in (run.weights, rest, run.runtime, run.total, run.pss)]
    later = [f"{size / MIB:.0f}" for size in (run.uss, run.peak)]
    off = f"{(run.total / run.pss - 1) * 100:+.1f} %"
    counts = [str(count) for count in (*run.blocks, *run.tokens)]
    return f"| {' | '.join([name, words(shown), *counts, *sizes, off, *later, f'{run.start_s:.0f} s'])} |"


def main() -> None:
    """Start vLLM over and over, and print what it took."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--count", type=int, default=len(CONFIGURATIONS), help="how many configurations")
    asked = list(configurations())[: arguments.parse_args().count]
    print(HEAD)
    runs = []
    for name, model, settings in asked:
        try:
            runs.append(start(model, settings))
        except CourseError as error:
            print(f"{name}, {words(settings)} did not start: {error}", file=sys.stderr)
            continue
        print(row(name, settings, runs[-1]), flush=True)
    if not runs:
        return
    counted = sum(run.blocks[0] == run.blocks[1] and run.tokens[0] == run.tokens[1] for run in runs)
    near = sum(abs(run.total - run.pss) <= allowed(run.pss) for run in runs)
    runtimes = [run.runtime / MIB for run in runs]
    print(f"\n{len(runs)} of {len(CONFIGURATIONS)} configurations ran, on {machine.cores()} cores.")
    print(f"Blocks and tokens as predicted: {counted} of {len(runs)}.")
    print(f"PSS within 5 % or 32 MiB: {near} of {len(runs)}.")
    print(
        f"Neither weights nor KV cache: {min(runtimes):.0f} to {max(runtimes):.0f} MiB, median"
        f" {statistics.median(runtimes):.0f} MiB."
    )


if __name__ == "__main__":
    main()
