"""The model as vLLM wants it: a folder or a repository in Hugging Face's format, on this machine before vLLM starts."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from courselib.errors import DownloadFailed, ModelCorrupt, ModelError, ModelNotFound
from courselib.i18n import _
from courselib.models import CATALOGUE, hf_directory
from courselib.models.safetensors import read_safetensors

REPOSITORY = re.compile(r"(?:hf:)?(?P<repo>[\w.-]+/[\w.-]+)")
# Weights in their safe form only, and what belongs to them.
FILES = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")
PROBE_TIMEOUT_S = 3


@dataclass(frozen=True)
class VllmModel:
    """Where a model is and what to call it.

    Args:
        argument: what ``vllm serve`` is given, a folder or a repository's name.
        folder: where its files are.
        name: what to serve it as unless another name is asked for.
        origin: where its weights come from, for people.
    """

    argument: str
    folder: Path
    name: str
    origin: str

    def config(self) -> dict[str, Any]:
        """The model's ``config.json``.

        Raises:
            ModelNotFound: there is none, or no weights.
            ModelCorrupt: it is no JSON.
        """
        path = self.folder / "config.json"
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ModelNotFound(
                _("{folder} has no config.json; vLLM needs a folder in Hugging Face's format, or a catalogue name.")
                .format(folder=self.folder)
            ) from None  # fmt: skip
        except (OSError, ValueError) as error:
            raise ModelCorrupt(
                _("{path} cannot be read as JSON; download the model again.").format(path=path), details=str(error)
            ) from None
        if not isinstance(config, dict):
            raise ModelCorrupt(_("{path} cannot be read as JSON; download the model again.").format(path=path))
        check_weights(self.folder)
        return config


def check_weights(folder: Path) -> None:
    """Make sure that the folder's weights are there and whole; reads headers only.

    vLLM notices a file cut short after half a minute, and damage in a header as a lack of memory.

    Raises:
        ModelNotFound: there are none, or a file that the index names is missing.
        ModelCorrupt: a file is no safetensors, or not as long as its header says.
    """
    files = {path.name for path in folder.glob("*.safetensors")}
    if not files:
        raise ModelNotFound(
            _("{folder} holds no weights (*.safetensors); download the model again.").format(folder=folder)
        )
    if missing := _parts(folder) - files:
        raise ModelNotFound(
            _("{folder} lacks {file}, a part of its weights; download the model again.").format(
                folder=folder, file=min(missing)
            )
        )
    for name in files:
        if not _is_whole(folder / name):
            raise ModelCorrupt(
                _("{file} is damaged or cut short; download the model, or have it made, again.").format(
                    file=folder / name
                )
            )


def _parts(folder: Path) -> set[str]:
    """Files that the index of the weights names; empty where there is no index."""
    index = folder / "model.safetensors.index.json"
    try:
        return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()) if index.exists() else set()
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise ModelCorrupt(
            _("{path} cannot be read as JSON; download the model again.").format(path=index), details=str(error)
        ) from None


def _is_whole(path: Path) -> bool:
    """Whether a safetensors file is as long as its header says."""
    try:
        header = read_safetensors(path)
    except ValueError:
        return False
    return header.begin + sum(header.by_tensor.values()) == path.stat().st_size


def find_model(model: str | os.PathLike[str], python: str) -> VllmModel:
    """The model's files, downloaded or made if need be.

    A catalogue model comes from the hub's cache or from the hub, at the commit that the catalogue names. Where the hub
    is out of reach, the bundled one is made from its GGUF: the same weights that llama.cpp serves, written as bfloat16.

    Args:
        model: a catalogue name, a folder, ``owner/repository``, or whatever ``models.resolve`` takes.
        python: an interpreter that has what converting needs.

    Raises:
        ModelError: it cannot be had.
    """
    model = os.fspath(model)
    if (folder := _folder(model)) is not None:
        return VllmModel(str(folder), folder, folder.name, _("Weights from {folder}.").format(folder=folder))
    known = next((entry for entry in CATALOGUE if entry.name == model.lower()), None)
    found = REPOSITORY.fullmatch(model)
    if found and not model.lower().endswith(".gguf"):
        return _from_hub(found["repo"], found["repo"])
    if known and (folder := _in_cache(known.hf_repo, known.hf_revision)):
        return VllmModel(str(folder), folder, known.name, _from_cache())
    if known and not (known.bundled and not _hub_reachable()):
        return _from_hub(known.hf_repo, known.name, known.hf_revision)
    folder = hf_directory(model, python=python)
    origin = _("Weights made from the GGUF that llama.cpp serves, as bfloat16.")
    return VllmModel(str(folder), folder, known.name if known else Path(model).stem, origin)


def _from_cache() -> str:
    return _("Weights from the hub's cache on this machine.")


def _folder(model: str) -> Path | None:
    try:
        path = Path(model).expanduser()
        return path.absolute() if model and path.is_dir() else None
    except (OSError, ValueError, RuntimeError):  # a null byte, a name too long, an unknown ~user
        return None


def _from_hub(repository: str, name: str, revision: str | None = None) -> VllmModel:
    """A repository's files, at the newest commit or at one that is named.

    vLLM is given the repository's name and finds the newest commit in the hub's cache; of another one, the folder.
    """
    from huggingface_hub import snapshot_download

    from courselib.models.hub_errors import TO_EXPLAIN, explain

    try:
        folder = snapshot_download(repository, revision=revision, allow_patterns=list(FILES))
    except TO_EXPLAIN as error:
        if cached := _in_cache(repository, revision):
            return VllmModel(str(cached) if revision else repository, cached, name, _from_cache())
        raise _as_model_error(explain(error, repository, "config.json")) from None
    argument = folder if revision else repository
    return VllmModel(argument, Path(folder), name, _("Weights from the hub ({repo}).").format(repo=repository))


def _as_model_error(error: Exception) -> ModelError:
    return error if isinstance(error, ModelError) else DownloadFailed(str(error))


def _in_cache(repository: str, revision: str | None) -> Path | None:
    """The snapshot in the hub's cache, if all its weights are there."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(repository, revision=revision, local_files_only=True))
        check_weights(folder)
    except (OSError, ValueError, ModelError):
        return None
    return folder if (folder / "config.json").exists() else None


def _hub_reachable() -> bool:
    import httpx
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    try:
        httpx.head(constants.ENDPOINT, timeout=PROBE_TIMEOUT_S)
    except (httpx.HTTPError, ValueError, ImportError):  # a proxy that httpx cannot use is one of the last two
        return False
    return True
