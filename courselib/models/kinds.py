"""GGUF files that are no language model, recognised before an engine is started with one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from courselib.errors import ModelCorrupt
from courselib.i18n import N_, _

# llama.cpp makes no memory for a text's continuation for these: encoders, and models that fill in text by diffusion
# (llama-model.cpp, create_memory; llama-arch.cpp).
WITHOUT_CACHE = frozenset({
    "bert", "jina-bert-v2", "jina-bert-v3", "nomic-bert", "nomic-bert-moe", "neo-bert", "eurobert", "modern-bert",
    "gemma-embedding", "t5encoder", "wavtokenizer-dec", "dream", "llada", "llada-moe", "rnd1",
})  # fmt: skip
# What ``general.type`` says (gguf's GGUFType); a projector may say it by its architecture alone.
PROJECTOR = "clip"
TYPES = {
    "mmproj": N_("{path} is a projector (mmproj) that brings images or sound to a model; name the model's own file."),
    "adapter": N_("{path} is a LoRA adapter, which changes another model; name the file of the model itself."),
    "imatrix": N_("{path} is an importance matrix, made for quantising; name the file of the model itself."),
}
OTHER_TYPE = N_("{path} is a GGUF, but no language model (general.type: {type}); name the file of one.")
NO_ARCHITECTURE = N_(
    "{path} is a GGUF, but no language model: it names no architecture. Image models of other programs are such files."
)
# Why a language model writes no text; by its pooling, where that is known.
NO_WRITERS = {
    "rank": N_("{path} is a model for reranking, which generates no text; name the file of one that does."),
    "": N_("{path} is a model that generates no text by itself ({architecture}); name the file of one that does."),
}
EMBEDDINGS = N_("{path} is a model for embeddings, which generates no text; name the file of one that does.")


def no_writer_message(path: Path, pooling: str, architecture: str) -> str:
    """What a model is that does not continue a text."""
    return _(NO_WRITERS.get(pooling, EMBEDDINGS)).format(path=path, architecture=architecture)


def check_language_model(path: Path, facts: Mapping[str, object]) -> None:
    """Refuse what llama.cpp cannot serve, whatever its weights.

    Raises:
        ModelCorrupt: with a sentence that says what the file is.
    """
    kind, architecture = str(facts.get("general.type", "")), facts.get("general.architecture")
    if architecture == PROJECTOR:
        kind = "mmproj"
    if kind not in ("", "model"):
        raise ModelCorrupt(_(TYPES.get(kind, OTHER_TYPE)).format(path=path, type=kind))
    if not architecture:
        raise ModelCorrupt(_(NO_ARCHITECTURE).format(path=path))
