"""A model in Hugging Face's format: its ``config.json``, and its tensors' sizes from the safetensors files' headers.

A header is 8 bytes of length and JSON: each tensor's type, shape, and where its bytes lie
(https://huggingface.co/docs/safetensors). Of a repository on the hub only these are fetched.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from courselib.errors import ModelCorrupt, ModelNotFound
from courselib.i18n import _

LENGTH_BYTES = 8
CONFIG = "config.json"


@dataclass(frozen=True)
class SafetensorsHeader:
    """One file's header: where its tensors begin, and each tensor's bytes by its name."""

    begin: int
    by_tensor: Mapping[str, int]


@dataclass(frozen=True)
class HfModel:
    """A model's ``config.json``, and each tensor's bytes by its name."""

    config: Mapping[str, Any]
    by_tensor: Mapping[str, int]

    @property
    def weights_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(self.by_tensor.values())


def read_safetensors(path: Path) -> SafetensorsHeader:
    """Read a file's header.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is no safetensors file.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if not 2 <= length <= path.stat().st_size - LENGTH_BYTES:
            raise ValueError(f"{path} has no header")
        header = json.loads(file.read(length))
    try:
        return SafetensorsHeader(LENGTH_BYTES + length, _sizes(header))
    except (TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"{path}: {error!r}") from None


def _sizes(header: Mapping[str, Any]) -> dict[str, int]:
    offsets = {name: entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"}
    return {name: int(end - begin) for name, (begin, end) in offsets.items()}


def hf_model(model: str | os.PathLike[str]) -> HfModel:
    """A model's config and tensors; downloads no weights.

    Args:
        model: a folder, or ``owner/repository`` on the hub.

    Raises:
        ModelNotFound: there is no such folder or repository, or it holds no such model.
        ModelCorrupt: a file is not what its name says.
        DownloadFailed: the hub cannot be reached.
    """
    folder = Path(model)
    return _from_folder(folder) if folder.is_dir() else _from_hub(os.fspath(model))


def _from_folder(folder: Path) -> HfModel:
    files = sorted(folder.glob("*.safetensors"))
    if not files or not (folder / CONFIG).is_file():
        raise ModelNotFound(
            _("{folder} holds no model in Hugging Face's format (config.json and *.safetensors); name another folder.")
            .format(folder=folder)
        )  # fmt: skip
    by_tensor: dict[str, int] = {}
    for file in files:
        try:
            by_tensor |= read_safetensors(file).by_tensor
        except ValueError as error:
            raise _damaged(file, error) from None
    return HfModel(_config(folder / CONFIG), by_tensor)


def _from_hub(repository: str) -> HfModel:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import NotASafetensorsRepoError, SafetensorsParsingError

    from courselib.models import hub
    from courselib.models.hub_errors import explained

    config = hub.fetch(hub.HubFile(repository, CONFIG))
    with explained(repository, "*.safetensors"):
        try:
            found = HfApi().get_safetensors_metadata(repository)
        except (NotASafetensorsRepoError, SafetensorsParsingError) as error:
            raise ModelNotFound(
                _("The repository {repo} has no readable *.safetensors; name one that has.").format(repo=repository),
                details=str(error),
            ) from None
    sizes = {
        name: tensor.data_offsets[1] - tensor.data_offsets[0]
        for file in found.files_metadata.values()
        for name, tensor in file.tensors.items()
    }
    return HfModel(_config(config), sizes)


def _config(path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise _damaged(path, error) from None
    if not isinstance(config, dict):
        raise _damaged(path, TypeError("no object"))
    return config


def _damaged(path: Path, error: Exception) -> ModelCorrupt:
    return ModelCorrupt(_("{path} is damaged; download the model again.").format(path=path), details=repr(error))
