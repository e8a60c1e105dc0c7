"""Which file of a repository is meant: by its quantisation, as llama.cpp's ``-hf owner/repo:Q4_K_M`` takes it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from courselib.errors import ModelNotFound
from courselib.i18n import N_, _
from courselib.models.hub_errors import explained
from courselib.models.parts import part_names

# What llama.cpp takes where no quantisation is named (common/download.cpp).
USUAL = "Q4_K_M"
# GGUF files beside a model that are none.
BESIDE = re.compile(r"mmproj|imatrix", re.IGNORECASE)

NONE = N_("The repository {repo} has no GGUF file, which llama.cpp needs; names of those that have often end in -GGUF.")
NOT_THAT = N_("The repository {repo} has no GGUF in {tag}; name one of its files, such as {repo}:{file}")
SEVERAL = N_("The repository {repo} has several GGUF files for that; name one of them, such as {repo}:{file}")


@dataclass(frozen=True)
class HubChoice:
    """A repository on the hub, and which of its files is wanted: a quantisation, or the usual one if that is empty."""

    repo: str
    tag: str = ""
    revision: str = "main"


def cached_file(choice: HubChoice) -> str | None:
    """The file that is meant, if the hub's cache has exactly one such."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        folder = Path(snapshot_download(choice.repo, revision=choice.revision, local_files_only=True))
    except (OSError, ValueError, HFValidationError):
        return None
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    found = _matches(names, choice.tag)
    return found[0] if len(found) == 1 else None


def listed_file(choice: HubChoice) -> str:
    """The file that is meant, by the hub's list.

    Raises:
        ModelNotFound: there is none, or more than one, or no such repository.
        DownloadFailed: the hub cannot be asked.
    """
    names = repository_files(choice.repo, choice.revision)
    found, models = _matches(names, choice.tag), _models(names)
    if len(found) == 1:
        return found[0]
    if not models:
        raise ModelNotFound(_(NONE).format(repo=choice.repo))
    text, tag = (SEVERAL, "") if found or not choice.tag else (NOT_THAT, choice.tag)
    example = found[0] if found else (near_name(choice.tag, models) or models[0])
    raise ModelNotFound(_(text).format(repo=choice.repo, tag=tag, file=example))


def repository_files(repo: str, revision: str) -> list[str]:
    """The names of all files in a repository on the hub.

    Raises:
        ModelNotFound, DownloadFailed: as for a download.
    """
    from huggingface_hub import HfApi

    with explained(repo, "*.gguf"):
        return HfApi().list_repo_files(repo, revision=revision)


def near_name(name: str, names: Iterable[str]) -> str | None:
    """The name most like ``name``, whatever its capitals; None if none is."""
    by_lower = {other.lower(): other for other in names}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def _models(names: Iterable[str]) -> list[str]:
    """The GGUF files of models, of those in several parts the first."""
    return sorted(
        name
        for name in names
        if name.lower().endswith(".gguf") and not BESIDE.search(name) and part_names(name)[0] == name
    )


def _matches(names: Iterable[str], tag: str) -> list[str]:
    models = _models(names)
    if not tag and len(models) == 1:
        return models
    wanted = re.compile(rf"(?:^|[-_./]){re.escape(tag or USUAL)}(?=[-./])", re.IGNORECASE)
    return [name for name in models if wanted.search(name)]
