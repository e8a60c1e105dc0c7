"""Models from the Hugging Face hub, kept in the hub's own cache.

huggingface_hub shows progress and goes on where a connection broke, but only within one call: since 1.18 it deletes
the partial file when a call fails, so that a gigabyte begins at zero after a cancelled cell. We therefore fill the
cache's blob ourselves, with the same ``http_get`` and under the same lock, keep the partial file, and put it in place
once its SHA-256 is right; ``hf_hub_download`` then finds the blob and does the rest. Plain HTTP is used, not Xet,
which cannot go on where it stopped; the price is Xet's speed on fast lines. Where a later huggingface_hub has no such
``http_get`` any more, its own download is used as it is.
"""

from __future__ import annotations

import errno
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from courselib.errors import DownloadFailed, ModelError, ModelNotFound, SettingsError
from courselib.i18n import _
from courselib.models.cache import is_verified, no_home_message, sha256
from courselib.models.locks import locked
from courselib.models.parts import part_names

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

# The entity tag of a large file is its SHA-256; of a small one a git hash, which is shorter.
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class HubFile:
    """A file in a repository on the hub.

    Args:
        repo: ``owner/name``.
        file: path inside the repository.
        revision: branch, tag or commit.
        sha256: the checksum it must have; None takes the hub's own.
    """

    repo: str
    file: str
    revision: str = "main"
    sha256: str | None = None

    def __str__(self) -> str:
        return f"{self.repo}:{self.file}"


def _parts(place: HubFile) -> list[HubFile]:
    return [replace(place, file=name) for name in part_names(place.file)]


def find(place: HubFile) -> Path | None:
    """The file in the hub's cache (of a model in parts: the first), if all is there and its checksum is right."""
    paths = [_find(part) for part in _parts(place)]
    return paths[0] if None not in paths else None


def _find(place: HubFile) -> Path | None:
    path = _cached(place)
    # A file in the cache links to a blob that is named by its entity tag.
    tag = path.resolve().name if path else ""
    wanted = place.sha256 or (tag if SHA256.fullmatch(tag) else None)
    return path if path and (wanted is None or is_verified(path, wanted)) else None


def _cached(place: HubFile) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        path = try_to_load_from_cache(place.repo, place.file, revision=place.revision)
    except HFValidationError:
        return None
    return Path(path) if isinstance(path, str) else None


def fetch(place: HubFile) -> Path:
    """Download a file from the hub, or all parts of a model, going on where an earlier download stopped.

    Returns:
        The file, or the first part.

    Raises:
        ModelNotFound: no such repository or file, or one that wants a token.
        DownloadFailed: no network, no space, or what came is damaged.
        SettingsError: there is no folder to keep it in.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import RemoteEntryNotFoundError

    from courselib.models.hub_errors import explained

    if constants.HF_HUB_CACHE.startswith("~"):
        raise SettingsError(no_home_message("HF_HOME"))
    paths = []
    for part in _parts(place):
        with explained(place.repo, part.file):
            try:
                paths.append(_find(part) or _fetch(part))
            except RemoteEntryNotFoundError:
                if message := _near_message(part):
                    raise ModelNotFound(message) from None
                raise
    return paths[0]


def _near_message(place: HubFile) -> str | None:
    from courselib.models.hub_listing import near_name, repository_files

    near = None
    with suppress(ModelError):  # no list, no hint
        near = near_name(place.file, repository_files(place.repo, place.revision))
    if near is None:
        return None
    text = _("The repository {repo} has no file {file}; did you mean {repo}:{near}?")
    return text.format(repo=place.repo, file=place.file, near=near)


def _fetch(place: HubFile) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    metadata = get_hf_file_metadata(hf_hub_url(place.repo, place.file, revision=place.revision))
    tag = metadata.etag or ""
    if place.sha256 not in (None, tag):
        raise DownloadFailed(
            _("{place} on the hub is not the file that the course expects (its checksum is another).").format(
                place=place
            )
        )
    if damaged := _cached(place):
        click.echo(_("{file} is damaged; fetching it again.").format(file=damaged.name), err=True)
        damaged.resolve().unlink(missing_ok=True)
        damaged.unlink(missing_ok=True)
    filled = bool(SHA256.fullmatch(tag)) and _try_to_fill_blob(place, metadata, tag)
    path = Path(hf_hub_download(place.repo, place.file, revision=place.revision))
    if SHA256.fullmatch(tag) and not filled and not is_verified(path, tag):
        path.resolve().unlink(missing_ok=True)
        raise _damaged(place)
    return path


def _damaged(place: HubFile) -> DownloadFailed:
    return DownloadFailed(
        _("{place} arrived damaged (its checksum is wrong) and was removed; download it again.").format(place=place)
    )


def _try_to_fill_blob(place: HubFile, metadata: HfFileMetadata, tag: str) -> bool:
    """Fill the cache's blob; False where this huggingface_hub has not what that takes."""
    try:
        _fill_blob(place, metadata, tag)
    except (ImportError, TypeError):
        return False
    return True


def _fill_blob(place: HubFile, metadata: HfFileMetadata, tag: str) -> None:
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    cache, folder = Path(constants.HF_HUB_CACHE), repo_folder_name(repo_id=place.repo, repo_type="model")
    blob, lock = cache / folder / "blobs" / tag, cache / ".locks" / folder / f"{tag}.lock"
    blob.parent.mkdir(parents=True, exist_ok=True)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with locked(lock, place.file):
        if is_verified(blob, tag):  # another process was faster, or the same file is in another commit
            return
        partial = blob.with_name(f"{tag}.partial")
        _go_on(place, metadata, partial)
        if sha256(partial) != tag:
            partial.unlink()
            raise _damaged(place)
        partial.replace(blob)


def _go_on(place: HubFile, metadata: HfFileMetadata, partial: Path) -> None:
    """Append to ``partial`` what it lacks."""
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    have = partial.stat().st_size if partial.exists() else 0
    if metadata.size is not None and have > metadata.size:
        partial.unlink()
        have = 0
    _check_room((metadata.size or 0) - have, partial.parent)
    # The commit, so that a branch that moves meanwhile does not mix two files.
    url = hf_hub_url(place.repo, place.file, revision=metadata.commit_hash or place.revision)
    # A compressed answer cannot be gone on with at a byte.
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    name = Path(place.file).name
    try:
        with partial.open("ab") as file:
            http_get(url, file, resume_size=have, headers=headers, expected_size=metadata.size, displayed_filename=name)
    except TypeError:  # another http_get than this one knows: what was kept is of no use
        partial.unlink(missing_ok=True)
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
            partial.unlink(missing_ok=True)  # a full disk hurts everything else that runs
        raise


def _check_room(needed: int, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        reason = _("{needed} MB are needed and {free} MB free").format(needed=needed // 10**6, free=free // 10**6)
        raise OSError(errno.ENOSPC, reason, str(folder))
