"""One start that was measured: what was predicted, what the engine reported, what the operating system saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from courselib.engines.server import Server
from courselib.i18n import N_, _
from courselib.memory import Estimate, size_text
from courselib.memory.estimate import NAMES

# Parts that an engine reports as one.
TOGETHER = {"weights": ("weights", "repacked"), "kv_cache": ("kv_cache", "recurrent")}
REPORTED = {
    "weights": N_("Weights"),
    "kv_cache": N_("KV cache"),
    "compute": N_("Compute buffers"),
    "output": N_("Output buffer"),
}
SEEN = {
    "rss": N_("In RAM (RSS)"),
    "pss": N_("Its share of RAM (PSS)"),
    "uss": N_("Its own RAM (USS)"),
}
Row = tuple[str, int | None, int | None]


@dataclass(frozen=True)
class MemoryRun:
    """One start, in bytes; never changed.

    Args:
        asked: the inputs, by name.
        predicted: sizes by name: of the estimate's parts, and ``resident``, all that is in RAM once it is ready.
        reported: those that the engine has reported itself.
        seen: those that the operating system has seen, of ``SEEN``.
        available: what this process might have had before the start.
        here: whether it was measured by this panel, and not recorded.
    """

    asked: tuple[tuple[str, Any], ...]
    predicted: Mapping[str, int]
    reported: Mapping[str, int]
    seen: Mapping[str, int]
    available: int
    here: bool = True

    @property
    def resident(self) -> int:
        """What is compared with the prediction: of several processes the PSS, which counts no page twice."""
        several = self.engine != "llama.cpp"
        return (self.seen.get("pss") if several else None) or self.seen["rss"]

    @property
    def engine(self) -> str:
        """Which engine it was."""
        return str(dict(self.asked)["engine"])

    @property
    def rows(self) -> list[Row]:
        """Name for people, predicted, and measured."""
        rows: list[Row] = [
            (_(words), _sum(self.predicted, TOGETHER.get(name, (name,))), self.reported[name])
            for name, words in REPORTED.items()
            if name in self.reported
        ]
        compared = "pss" if self.seen.get("pss") == self.resident and self.engine != "llama.cpp" else "rss"
        resident = self.predicted.get("resident")
        return rows + [
            (_(words), resident if name == compared else None, self.seen[name])
            for name, words in SEEN.items()
            if name in self.seen
        ]


def error_words(predicted: int | None, measured: int | None) -> str:
    """The prediction's error in per cent; a dash where there is none."""
    if not predicted or not measured:
        return "–"
    return f"{100 * (predicted / measured - 1):+.1f} %"


def later_parts(engine: str, *, on_cards: bool) -> tuple[str, ...]:
    """The parts that are reserved and not in RAM yet when the server is ready, since nothing has used them.

    vLLM on a CPU has used all of its cache by then: 1 GiB more of it was 1.00 GiB more of RAM (vLLM 0.32, measured).
    """
    return ("compute",) if engine == "llama.cpp" and not on_cards else ()


def predicted_sizes(estimate: Estimate, later: tuple[str, ...]) -> dict[str, int]:
    """An estimate as a run keeps it.

    Args:
        estimate: all parts.
        later: parts that are not in RAM yet when the server is ready.
    """
    sizes = {part.name: part.size for part in estimate.parts}
    others = [size for name, size in sizes.items() if name not in later]
    resident = None if None in others else sum(size or 0 for size in others)
    return _known({**sizes, "resident": resident})


def _sum(sizes: Mapping[str, int], names: tuple[str, ...]) -> int | None:
    known = [sizes[name] for name in names if name in sizes]
    return sum(known) if known else None


def measured(server: Server, asked: tuple[tuple[str, Any], ...], predicted: Mapping[str, int], free: int) -> MemoryRun:
    """What a server that is ready has taken."""
    memory = server.memory()
    uss, pss = server.memory_shares()
    reported = {name: getattr(memory, name) for name in REPORTED}
    seen = {"rss": memory.rss, "pss": pss, "uss": uss}
    return MemoryRun(asked, predicted, _known(reported), _known(seen), free)


def _known(sizes: Mapping[str, int | None]) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if size is not None}


def lines_of(run: MemoryRun) -> list[str]:
    """A run as text, a line for each figure."""
    rows = [
        (name, size_text(predicted) if predicted else "–", size_text(size), error_words(predicted, size))
        for name, predicted, size in run.rows
    ]
    wide = max(len(name) for name, *_rest in rows)
    return [f"{name:<{wide}}  {predicted:>10}  {size:>10}  {error:>8}" for name, predicted, size, error in rows]


def packed(run: MemoryRun) -> dict[str, Any]:
    """As JSON."""
    return {
        "asked": dict(run.asked),
        "predicted": dict(run.predicted),
        "reported": dict(run.reported),
        "seen": dict(run.seen),
        "available": run.available,
    }


def unpacked(found: Any) -> MemoryRun:
    """From JSON; what is wrong with it is raised as it comes."""
    run = MemoryRun(
        asked=tuple(found["asked"].items()),
        predicted=_sizes(found["predicted"], {*NAMES, "resident"}),
        reported=_sizes(found["reported"], set(REPORTED)),
        seen=_sizes(found["seen"], set(SEEN)),
        available=_size(found["available"]),
        here=False,
    )
    if not isinstance(run.engine, str) or run.resident <= 0:
        raise ValueError("a run without a size")
    return run


def _sizes(found: Any, names: set[str]) -> dict[str, int]:
    if not set(found) <= names:
        raise ValueError("a part that there is not")
    return {str(name): _size(size) for name, size in found.items()}


def _size(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("no size")
    return value
