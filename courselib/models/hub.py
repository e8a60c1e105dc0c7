"""Models from the Hugging Face hub, kept in the hub's own cache.

huggingface_hub downloads, shows progress and resumes; we add the checksum (the hub tells each large file's SHA-256
as its entity tag) and words a person can act on.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from courselib.errors import CourseError, DownloadFailed, ModelNotFound
from courselib.i18n import _
from courselib.models.cache import is_verified

SHA256_LENGTH = 64
CONNECT_TIMEOUT_S = 5


def find(repo: str, file: str) -> Path | None:
    """The file in the hub's cache, or None."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(repo, file)
    return Path(path) if isinstance(path, str) else None


def fetch(repo: str, file: str, *, sha256: str | None = None) -> Path:
    """Download a file from a repository on the hub, or take it from the hub's cache.

    Args:
        repo: ``owner/name``.
        file: path inside the repository.
        sha256: the checksum it must have; None takes the hub's own.

    Raises:
        ModelNotFound: no such repository or file, or one that wants a token.
        DownloadFailed: no network, no space, or what came is damaged.
    """
    from huggingface_hub import hf_hub_download

    try:
        if find(repo, file) is None:
            _check_reachable()
        path = Path(hf_hub_download(repo, file))
    except Exception as error:  # noqa: BLE001 - whatever went wrong is said in words, the original in the details
        raise explain(error, repo, file) from None
    # The hub's cache names each blob by its entity tag, which for a large file is its SHA-256.
    tag = path.resolve().name
    checksum = sha256 or (tag if len(tag) == SHA256_LENGTH else None)
    if checksum and not is_verified(path, checksum):
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise DownloadFailed(
            _("{file} arrived damaged (its checksum is wrong) and was removed; download it again.").format(file=file)
        )
    return path


def explain(error: Exception, repo: str, file: str) -> CourseError:
    """What went wrong with a download, in a sentence; the original error where it is none of the known ones."""
    from huggingface_hub import errors

    place = f"{repo}:{file}"
    details = f"{type(error).__name__}: {error}"
    if isinstance(error, errors.GatedRepoError):
        text = _("{repo} is gated: accept its terms on its page, then sign in with: hf auth login").format(repo=repo)
        return ModelNotFound(text, details=details)
    if isinstance(error, errors.RepositoryNotFoundError | errors.HFValidationError):
        text = _("There is no repository {repo} on the hub, or it is private: check the name, or: hf auth login")
        return ModelNotFound(text.format(repo=repo), details=details)
    if isinstance(error, errors.RemoteEntryNotFoundError):
        text = _("The repository {repo} has no file {file}; look at its list of files.").format(repo=repo, file=file)
        return ModelNotFound(text, details=details)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        text = _("The disk is full; make room for {place}, or set HF_HOME to a folder with more.").format(place=place)
        return DownloadFailed(text, details=details)
    text = _(
        "{place} could not be downloaded: the hub cannot be reached, or the download broke off. Check the network and"
        " try again (it goes on where it stopped), or use smollm2-135m, which needs no hub."
    )
    return DownloadFailed(text.format(place=place), details=details)


def _check_reachable() -> None:
    """Fail at once where there is no network: huggingface_hub would try again for half a minute first."""
    from huggingface_hub import constants

    parts = urlsplit(constants.ENDPOINT)
    if not constants.HF_HUB_OFFLINE and not getproxies():
        port = parts.port or {"http": 80}.get(parts.scheme, 443)
        socket.create_connection((parts.hostname or "", port), CONNECT_TIMEOUT_S).close()
