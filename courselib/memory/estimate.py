"""An estimate: parts of a sum, each with where its figure comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from courselib.i18n import N_, _
from courselib.memory.units import size_text

Basis = Literal["header", "formula", "fitted", "start", "unknown"]
# How a part is known, for people.
BASIS = {
    "header": N_("the file's header"),
    "formula": N_("the engine's own formula"),
    "fitted": N_("fitted to measurements"),
    "start": N_("measured by the engine when it starts"),
    "unknown": N_("not known for this architecture"),
}
NAMES = {
    "weights": N_("Weights"),
    "repacked": N_("Weights rearranged for the CPU"),
    "kv_cache": N_("KV cache"),
    "recurrent": N_("Recurrent state"),
    "compute": N_("Compute buffers"),
    "output": N_("Output buffer"),
    "runtime": N_("Engine itself"),
}
# What may come on top of the parts, for people.
ON_TOP = N_("On top, at most")
ON_TOP_BASIS = N_("prompts of earlier requests, while it serves; limited by cache_ram")


@dataclass(frozen=True)
class Part:
    """One part of the memory an engine takes.

    Args:
        name: ``weights``, ``kv_cache``, … (the keys of ``NAMES``).
        size: bytes; None where they are not known.
        basis: where the figure comes from.
        on_gpu: bytes of ``size`` that are in the GPU's memory.
    """

    name: str
    size: int | None
    basis: Basis
    on_gpu: int = 0


@dataclass(frozen=True)
class Estimate:
    """The memory that an engine will take, in bytes, part by part.

    ``estimate.kv_cache`` and the other names of ``NAMES`` are the parts' sizes: 0 for a part that is not there, None
    for one that is not known.

    Args:
        engine: the engine's name.
        model: the model's name.
        parts: what it takes from its start on.
        on_top: bytes of RAM that it may take on top of these while it serves, at most; no part, and in no sum.
    """

    engine: str
    model: str
    parts: tuple[Part, ...]
    on_top: int = 0

    def part(self, name: str) -> Part | None:
        """The part of that name."""
        return next((part for part in self.parts if part.name == name), None)

    def _size(self, name: str) -> int | None:
        found = self.part(name)
        return found.size if found else 0

    @property
    def weights(self) -> int | None:
        """Bytes of the model's tensors."""
        return self._size("weights")

    @property
    def kv_cache(self) -> int | None:
        """Bytes of keys and values."""
        return self._size("kv_cache")

    @property
    def recurrent(self) -> int | None:
        """Bytes of recurrent layers' states."""
        return self._size("recurrent")

    @property
    def compute(self) -> int | None:
        """Bytes of intermediate results."""
        return self._size("compute")

    @property
    def runtime(self) -> int | None:
        """Bytes of the program, its tokenizer, its threads."""
        return self._size("runtime")

    @property
    def is_complete(self) -> bool:
        """Whether every part is known."""
        return all(part.size is not None for part in self.parts)

    @property
    def total(self) -> int | None:
        """Bytes of all parts; None where one is not known."""
        return self.known if self.is_complete else None

    @property
    def known(self) -> int:
        """Bytes of the parts that are known."""
        return sum(part.size or 0 for part in self.parts)

    @property
    def resident_at_start(self) -> int | None:
        """Bytes in use once the server is ready: the system gives compute buffers' memory when they are first used."""
        others = [part.size for part in self.parts if part.name != "compute"]
        return None if None in others else sum(filter(None, others))

    @property
    def on_gpu(self) -> int:
        """Bytes in the GPU's memory, without the driver's own share."""
        return sum(part.on_gpu for part in self.parts)

    def as_table(self) -> str:
        """The parts as text, one a line, with their sum."""
        rows = [(_(NAMES[part.name]), size_text(part.size), _(BASIS[part.basis])) for part in self.parts]
        rows.append((_("Total") if self.is_complete else _("Sum of what is known"), size_text(self.known), ""))
        if self.on_top:
            rows.append((_(ON_TOP), size_text(self.on_top), _(ON_TOP_BASIS)))
        wide, wider = (max(len(row[column]) for row in rows) for column in (0, 1))
        return "\n".join(f"{name:<{wide}}  {size:>{wider}}  {basis}".rstrip() for name, size, basis in rows)
