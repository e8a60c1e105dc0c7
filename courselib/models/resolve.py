"""From what a person writes for a model to a file."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

from courselib.errors import ModelNotFound
from courselib.i18n import _
from courselib.models import bundled, hub
from courselib.models.catalogue import CATALOGUE, Model, ModelRow
from courselib.models.header import gguf_header
from courselib.models.hub import HubFile

HUB_PLACE = re.compile(r"(?:hf:)?(?P<repo>[\w.-]+/[\w.-]+):(?P<file>[\w./-]+)")


def resolve(model: str | os.PathLike[str]) -> Path:
    """A GGUF file for ``model``, downloaded if need be.

    Args:
        model: a catalogue name, ``owner/repository:file`` on the hub, or a path.

    Raises:
        ModelNotFound: there is no such model.
        ModelCorrupt: the file is no whole GGUF.
        DownloadFailed: it could not be fetched.
    """
    path = (_find(model) or _fetch(model)).absolute()
    gguf_header(path)  # refuses what is no GGUF, or cut short, before an engine sees it
    return path


def locate(model: str | os.PathLike[str]) -> Path:
    """As ``resolve``, but downloads nothing: ModelNotFound if the model is not on this machine."""
    path = _find(model)
    if path is None:
        raise ModelNotFound(
            _("{model} is not on this machine; get it with: courselib models get {model}").format(model=model)
        )
    return path


def list_models() -> list[ModelRow]:
    """The catalogue, each with its file if that is on this machine."""
    return [ModelRow(model, _find(model.name)) for model in CATALOGUE]


def _known(name: str) -> Model | None:
    return next((model for model in CATALOGUE if model.name == name.lower()), None)


def _find(model: str | os.PathLike[str]) -> Path | None:
    text = os.fspath(model)
    if (known := _known(text)) and known.bundled:
        return bundled.find(known)
    place = _hub_place(text)
    return hub.find(place) if place else _local_file(text)


def _fetch(model: str | os.PathLike[str]) -> Path:
    text = os.fspath(model)
    if (known := _known(text)) and known.bundled:
        return bundled.fetch(known)
    place = _hub_place(text)
    assert place is not None, "a local file was found or refused before"
    return hub.fetch(place)


def _hub_place(text: str) -> HubFile | None:
    if known := _known(text):
        return HubFile(known.repo, known.file, known.revision, known.sha256)
    found = HUB_PLACE.fullmatch(text)
    # os.path's version says no where Path's raises, for a name that is too long
    return HubFile(found["repo"], found["file"]) if found and not os.path.exists(text) else None  # noqa: PTH110


def _local_file(text: str) -> Path:
    try:
        path = Path(text).expanduser()
        if text and path.is_dir():  # Path takes nothing for the current folder
            raise ModelNotFound(_directory_message(path))
        if not path.is_file():
            raise ModelNotFound(_missing_message(text))
        with path.open("rb"):
            return path
    except PermissionError:
        raise ModelNotFound(
            _("The file {path} may not be read; change its permissions (chmod +r) or copy it.").format(path=text)
        ) from None
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: the home of an unknown ~user
        raise ModelNotFound(_("{path!r} is no path of a file: {reason}.").format(path=text, reason=error)) from None


def _directory_message(path: Path) -> str:
    inside = sorted(file.name for file in path.glob("*.gguf"))
    if inside:
        return _("{path} is a folder; name a file in it, such as {file}.").format(path=path, file=inside[0])
    return _("{path} is a folder without a GGUF file; llama.cpp wants the path of one.").format(path=path)


def _missing_message(text: str) -> str:
    names = [model.name for model in CATALOGUE]
    if os.sep in text or text.endswith(".gguf"):
        return _(
            "There is no file {path}; check the path, or use one of {names}, or owner/repository:file on the hub."
        ).format(path=text, names=", ".join(names))
    near = difflib.get_close_matches(text.lower(), names, n=1, cutoff=0.5)
    hint = _(" Did you mean {near}?").format(near=near[0]) if near else ""
    return (
        _(
            "There is no model {name!r}; use one of {names}, a path to a GGUF, or owner/repository:file on the hub."
        ).format(name=text, names=", ".join(names))
        + hint
    )
