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
from courselib.models.header import GgufHeader, gguf_header
from courselib.models.hub import HubFile
from courselib.models.hub_listing import HubChoice, cached_file, listed_file, near_name
from courselib.models.parts import part_names

# A name that ends in .gguf and has no colon is a path.
HUB_PLACE = re.compile(
    r"(?:hf:)?(?P<repo>\w[\w.-]*/[\w.-]+?(?<!\.gguf))(?::(?P<wanted>.+))?", re.DOTALL | re.IGNORECASE
)


def resolve(model: str | os.PathLike[str]) -> Path:
    """A GGUF file for ``model``, downloaded if need be; of a model in several files the first.

    Args:
        model: a catalogue name; on the hub ``owner/repository:file``, ``owner/repository:Q4_K_M`` (the file of that
            quantisation) or ``owner/repository`` (its only one, or Q4_K_M); or a path. Any part of a model in several
            files stands for all.

    Raises:
        ModelNotFound: there is no such model.
        ModelCorrupt: the file is no whole GGUF.
        DownloadFailed: it could not be fetched.
    """
    path = (_find(model) or _fetch(model)).absolute()
    # Refuses what is no model, or not whole, before an engine sees it.
    header = gguf_header(path)
    return path.with_name(part_names(path.name)[0]) if header.parts > 1 else path


def locate(model: str | os.PathLike[str]) -> Path:
    """As ``resolve``, but downloads nothing: ModelNotFound if the model is not on this machine."""
    path = _find(model)
    if path is None:
        raise ModelNotFound(
            _("{model} is not on this machine; get it with: courselib models get {model}").format(model=model)
        )
    return path


def read_header(model: str | os.PathLike[str]) -> GgufHeader:
    """A model's header, whether the model is on this machine or only on the hub; downloads no weights.

    Args:
        model: as for ``resolve``.

    Raises:
        ModelNotFound, ModelCorrupt, DownloadFailed: as for ``resolve``.
    """
    from courselib.models.hub_header import hub_header

    if path := _find(model):
        return gguf_header(path)
    place = _hub_place(os.fspath(model))
    if place is None:  # bundled, and not unpacked yet
        return gguf_header(resolve(model))
    if isinstance(place, HubChoice):
        place = HubFile(place.repo, listed_file(place), place.revision)
    return hub_header(place)


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
    if isinstance(place, HubChoice):
        file = cached_file(place)
        return hub.find(HubFile(place.repo, file, place.revision)) if file else None
    return hub.find(place) if place else _local_file(text)


def _fetch(model: str | os.PathLike[str]) -> Path:
    text = os.fspath(model)
    if (known := _known(text)) and known.bundled:
        return bundled.fetch(known)
    place = _hub_place(text)
    assert place is not None, "a local file was found or refused before"
    if isinstance(place, HubChoice):
        place = HubFile(place.repo, listed_file(place), place.revision)
    return hub.fetch(place)


def _hub_place(text: str) -> HubFile | HubChoice | None:
    if known := _known(text):
        return HubFile(known.repo, known.file, known.revision, known.sha256)
    found = HUB_PLACE.fullmatch(text)
    # os.path's version says no where Path's raises, for a name that is too long
    if not found or os.path.exists(text):  # noqa: PTH110
        return None
    wanted = found["wanted"] or ""
    return (HubFile if wanted.lower().endswith(".gguf") else HubChoice)(found["repo"], wanted)


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
        raise ModelNotFound(_("{path!r} is not a file's path: {reason}.").format(path=text, reason=error)) from None


def _directory_message(path: Path) -> str:
    inside = sorted(file.name for file in path.glob("*.gguf"))
    if inside:
        return _("{path} is a folder; name a file in it, such as {file}.").format(path=path, file=inside[0])
    return _("{path} is a folder without a GGUF file; llama.cpp needs the path of one.").format(path=path)


def _missing_message(text: str) -> str:
    names = [model.name for model in CATALOGUE]
    if os.sep in text or text.endswith(".gguf"):
        path = Path(text).expanduser()
        near = near_name(path.name, [file.name for file in path.parent.glob("*.gguf")])
        if near:
            return _("There is no file {path}; did you mean {near}?").format(path=text, near=path.with_name(near))
        return _(
            "There is no file {path}; check the path, or use one of {names}, or owner/repository:file on the hub."
        ).format(path=text, names=", ".join(names))
    close = difflib.get_close_matches(text.lower(), names, n=1, cutoff=0.5)
    hint = _(" Did you mean {near}?").format(near=close[0]) if close else ""
    return (
        _(
            "There is no model {name!r}; use one of {names}, a path to a GGUF, or owner/repository:file on the hub."
        ).format(name=text, names=", ".join(names))
        + hint
    )
