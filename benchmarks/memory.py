"""How well is llama.cpp's memory predicted? Its own report, and the system's, beside the formulas.

    python -m benchmarks.memory           a table in Markdown; ``benchmarks/results/memory.md`` keeps it
    python -m benchmarks.memory --fit     the measurements of ``courselib/memory/fitted/llamacpp.csv``, anew

SmolLM2-135M, Gemma 3 270M where it has been fetched (``python -m tests.gemma``), and small models of other families;
for the fit, small models of many shapes. The resident memory is asked when the server is ready; what llama.cpp projects
before it loads the model stands beside it.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from courselib.memory import MIB
from courselib.models import resolve
from tests import gemma
from tests.memory import live, tiny_models
from tests.models.small_gguf import small_gguf

FAMILIES = ("gemma3", "lfm2", "deepseek2", "mamba")
FAMILY_SETTINGS = (
    {"context": 4096},
    {"context": 8192, "parallel": 4},
    {"context": 4096, "parallel": 4, "kv_unified": True},
)
# Width, network, heads, KV heads, width of a head, then vocabulary, experts and those used.
SHAPES = (
    (256, 512, 4, 4, 64), (256, 512, 4, 1, 64), (256, 2048, 4, 2, 64), (512, 1536, 8, 2, 64), (512, 2048, 8, 8, 64),
    (256, 1024, 8, 2, 64), (256, 1024, 4, 2, 128), (512, 1024, 16, 4, 32), (256, 512, 4, 2, 64, 32_768),
    (256, 512, 4, 2, 64, 259, 8, 2), (256, 512, 4, 2, 64, 259, 16, 4),
)  # fmt: skip
SHAPE_SETTINGS = (
    {"context": 4096}, {"context": 512}, {"context": 4096, "flash_attn": "off"}, {"context": 512, "flash_attn": "off"},
    {"context": 2048, "parallel": 4}, {"context": 4096, "parallel": 16, "ubatch": 64},
)  # fmt: skip
HEAD = (
    "| model | settings | KV cache and state | reported | weights | reported | compute | reported | resident "
    "| measured | error | llama.cpp's own |\n|" + "---|" * 12
)
COLUMNS = (
    "model", "embedding", "feed_forward", "queries", "heads", "keys", "layers", "windowed", "window", "vocabulary",
    "merges", "context", "parallel", "kv_unified", "ubatch", "flash_attn", "weights", "kv_cache", "output", "compute",
    "resident",
)  # fmt: skip


def models(folder: Path) -> Iterator[tuple[str, Path, tuple[dict[str, Any], ...]]]:
    """Each model's name and file, and the settings to try it with."""
    yield "SmolLM2-135M", resolve("smollm2-135m"), tuple(live.grid())
    if (file := gemma.find()) is not None:
        yield "Gemma 3 270M", file, tuple(live.grid())
    for family in FAMILIES:
        yield f"small {family}", written(folder / f"{family}.gguf", *getattr(tiny_models, family)()), FAMILY_SETTINGS


def shapes(folder: Path) -> Iterator[tuple[str, Path, tuple[dict[str, Any], ...]]]:
    """Small models of many shapes, each with the settings to try it with."""
    for shape in SHAPES:
        name = "x".join(map(str, shape))
        yield name, written(folder / f"{name}.gguf", *tiny_models.llama(*shape)), SHAPE_SETTINGS


def written(path: Path, entries: dict[str, Any], tensors: dict[str, Any]) -> Path:
    """A small model's file."""
    path.write_bytes(small_gguf(entries, tensors=tensors))
    return path


def row(name: str, run: live.Run) -> str:
    """One start as a line of the table, in MiB."""
    predicted, memory = run.predicted, run.memory
    resident = predicted.resident_at_start
    kept = (predicted.kv_cache or 0) + (predicted.recurrent or 0)
    copies = predicted.part("repacked")
    pairs = (
        (kept, memory.kv_cache), (predicted.weights + (copies.size if copies else 0), memory.weights),
        (predicted.compute, memory.compute), (resident, memory.rss),
    )  # fmt: skip
    cells = [f"{size / MIB:.2f}" if size is not None else "" for size in itertools.chain(*pairs)]
    error = "" if resident is None else f"{(resident / memory.rss - 1) * 100:+.1f} %"
    own = "" if run.projected is None else str(run.projected // MIB)
    return f"| {' | '.join([name, live.words(run.settings), *cells, error, own])} |"


def measurement(name: str, run: live.Run) -> dict[str, Any]:
    """One start as a line of the fit's data."""
    model, settings, memory = run.model, run.settings, run.memory
    windows = [layer.window for layer in model.layers or ()]
    values = (
        name, model.embedding, model.feed_forward, model.queries, model.heads, max(one.keys for one in model.layers),
        windows.count(0), len(windows) - windows.count(0), max(windows), model.vocabulary, model.merges,
        settings["context"], settings.get("parallel", 1), int(settings.get("kv_unified", False)),
        min(settings.get("ubatch", 512), settings.get("batch", 2048)), settings.get("flash_attn", "auto"),
        memory.weights, memory.kv_cache, memory.output, memory.compute, memory.rss,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def write_table(folder: Path) -> None:
    """The table, and how far off the resident memory is."""
    print(HEAD)
    errors = []
    for name, file, asked in models(folder):
        for settings in asked:
            run = live.start(file, settings)
            print(row(name, run), flush=True)
            if (resident := run.predicted.resident_at_start) is not None:
                errors.append((abs(resident - run.memory.rss), run.memory.rss))
    near = sum(off <= max(0.05 * rss, 32 * MIB) for off, rss in errors)
    print(f"\nResident memory within 5 % or 32 MiB: {near} of {len(errors)}.")


def write_fit(folder: Path) -> None:
    """The fit's data as CSV."""
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    attending = itertools.islice(models(folder), 2)  # the real models
    for name, file, asked in itertools.chain(attending, shapes(folder)):
        for settings in asked:
            # Numbers of a quantised cache are turned by matrices, which are a little more.
            if settings.get("cache_type_k", "f16") == "f16":
                writer.writerow(measurement(name, live.start(file, settings)))
                sys.stdout.flush()


def main() -> None:
    """Start llama.cpp over and over, and print what it took."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--fit", action="store_true", help="the fit's data in place of the table")
    with tempfile.TemporaryDirectory() as folder:
        (write_fit if arguments.parse_args().fit else write_table)(Path(folder))


if __name__ == "__main__":
    main()
