"""The models the course uses, and where each comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from courselib.i18n import _


@dataclass(frozen=True)
class Model:
    """One model as a GGUF file.

    Args:
        name: what the course calls it.
        repo: its repository on the Hugging Face hub, as GGUF.
        file: the file there, or inside the bundled package.
        size_bytes: size of the file; about that where ``sha256`` is None.
        sha256: the file's checksum; None where the hub's own is taken.
        hf_repo: the unquantised model on the hub.
        bundled: whether it comes with a Python package, so that no hub is needed.
        licence: SPDX name.
    """

    name: str
    repo: str
    file: str
    size_bytes: int
    sha256: str | None
    hf_repo: str
    bundled: bool = False
    licence: str = "Apache-2.0"


CATALOGUE = (
    Model(
        name="smollm2-135m",
        repo="",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size_bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        hf_repo="HuggingFaceTB/SmolLM2-135M-Instruct",
        bundled=True,
    ),
    Model(
        name="smollm2-360m",
        repo="HuggingFaceTB/SmolLM2-360M-Instruct-GGUF",
        file="smollm2-360m-instruct-q8_0.gguf",
        size_bytes=386_000_000,
        sha256=None,
        hf_repo="HuggingFaceTB/SmolLM2-360M-Instruct",
    ),
    Model(
        name="smollm2-1.7b",
        repo="HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF",
        file="smollm2-1.7b-instruct-q4_k_m.gguf",
        size_bytes=1_060_000_000,
        sha256=None,
        hf_repo="HuggingFaceTB/SmolLM2-1.7B-Instruct",
    ),
)


def catalogue() -> tuple[Model, ...]:
    """The models the course knows."""
    return CATALOGUE


@dataclass(frozen=True)
class ModelRow:
    """A catalogue model and where it is on this machine (``path`` is None if it is not)."""

    model: Model
    path: Path | None

    def line(self) -> str:
        """The row as a line of text."""
        where = (
            str(self.path) if self.path else _("not on disk; courselib models get {name}").format(name=self.model.name)
        )
        return f"{self.model.name:<14} {self.model.size_bytes / 1e6:>6.0f} MB  {self.model.licence:<10}  {where}"
