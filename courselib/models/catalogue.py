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
        title: what its makers call it, with the quantisation.
        params: number of parameters.
        file: the file in the repository, or inside the bundled package.
        size_bytes: size of the file.
        sha256: the file's checksum.
        hf_repo: the unquantised model on the hub.
        hf_revision: the commit of that repository, so that engines which read it have the same weights everywhere.
        repo: its repository on the hub, as GGUF; empty where it is bundled.
        revision: the commit of that repository, so that every learner has the same file.
        licence: SPDX name.

    Source: sizes and checksums are what the hub states for these commits; parameters follow from the models' shapes.
    """

    name: str
    title: str
    params: int
    file: str
    size_bytes: int
    sha256: str
    hf_repo: str
    hf_revision: str
    repo: str = ""
    revision: str = "main"
    licence: str = "Apache-2.0"

    @property
    def bundled(self) -> bool:
        """Whether it comes with a Python package, so that no hub is needed."""
        return not self.repo


CATALOGUE = (
    Model(
        name="smollm2-135m",
        title="SmolLM2 135M Instruct, Q4_1",
        params=134_515_008,
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size_bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        hf_repo="HuggingFaceTB/SmolLM2-135M-Instruct",
        hf_revision="12fd25f77366fa6b3b4b768ec3050bf629380bac",
    ),
    Model(
        name="smollm2-360m",
        title="SmolLM2 360M Instruct, Q8_0",
        params=361_821_120,
        file="smollm2-360m-instruct-q8_0.gguf",
        size_bytes=386_404_992,
        sha256="48ab3034d0dd401fbc721eb1df3217902fee7dab9078992d66431f09b7750201",
        hf_repo="HuggingFaceTB/SmolLM2-360M-Instruct",
        hf_revision="a10cc1512eabd3dde888204e902eca88bddb4951",
        repo="HuggingFaceTB/SmolLM2-360M-Instruct-GGUF",
        revision="593b5a2e04c8f3e4ee880263f93e0bd2901ad47f",
    ),
    Model(
        name="smollm2-1.7b",
        title="SmolLM2 1.7B Instruct, Q4_K_M",
        params=1_711_376_384,
        file="smollm2-1.7b-instruct-q4_k_m.gguf",
        size_bytes=1_055_609_536,
        sha256="decd2598bc2c8ed08c19adc3c8fdd461ee19ed5708679d1c54ef54a5a30d4f33",
        hf_repo="HuggingFaceTB/SmolLM2-1.7B-Instruct",
        hf_revision="31b70e2e869a7173562077fd711b654946d38674",
        repo="HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF",
        revision="2d4a76a30b4af41ecd395c35725ac11688d4cfe4",
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
