"""What went wrong with a download from the hub, in a sentence that says how to go on."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from huggingface_hub import constants, errors

from courselib.errors import CourseError, DownloadFailed, ModelNotFound
from courselib.i18n import _
from courselib.models.proxy import proxy_message

# What huggingface_hub and the file system raise; anything else is a fault of ours and is not dressed up.
_OF_THE_HUB = (
    OSError,
    errors.HTTPError,  # type: ignore[attr-defined]  # that of httpx or its successor, whichever the hub's client uses
    errors.HFValidationError,
)
# The hub's client raises the last two for a proxy that it cannot use.
TO_EXPLAIN = (*_OF_THE_HUB, ValueError, ImportError)
SOCKS_PACKAGE = "socksio"
STORING = frozenset(
    number
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EACCES", "EPERM", "EROFS")
    if (number := getattr(errno, name, None)) is not None
)


@contextmanager
def explained(repo: str, file: str) -> Iterator[None]:
    """Explain what goes wrong inside."""
    try:
        yield
    except TO_EXPLAIN as error:
        raise explain(error, repo, file) from None


def explain(error: Exception, repo: str, file: str) -> CourseError:
    """The error to raise in place of ``error``, which is kept in its details.

    Raises:
        ValueError, ImportError: ``error`` itself, where it is a fault of ours.
    """
    # Not JSON at all is what a network's sign-in page answers.
    of_the_hub = isinstance(error, (*_OF_THE_HUB, json.JSONDecodeError))
    if not of_the_hub:
        if (message := proxy_message(SOCKS_PACKAGE)) is None:
            raise error
        return DownloadFailed(message, details=f"{type(error).__name__}: {error}")
    kind, text = _kind_and_text(error)
    folder = constants.HF_HUB_CACHE
    reason = getattr(error, "strerror", None) or str(error)
    message = text.format(repo=repo, file=file, folder=folder, reason=reason, status=_status(error))
    return kind(message, details=f"{type(error).__name__}: {error}")


def _status(error: Exception) -> int:
    return error.response.status_code if isinstance(error, errors.HfHubHTTPError) else 0


def _kind_and_text(error: Exception) -> tuple[type[CourseError], str]:
    if constants.HF_HUB_OFFLINE:
        return DownloadFailed, _(
            "{repo}:{file} is not on this machine, and HF_HUB_OFFLINE forbids downloads: unset it, or use"
            " smollm2-135m, which needs no hub."
        )
    if isinstance(error, errors.HfHubHTTPError):
        return _refused(error)
    if isinstance(error, errors.HFValidationError):
        return ModelNotFound, _("{repo} is not the name of a repository; write owner/repository:file.")
    if isinstance(error, OSError) and error.errno in STORING:
        return DownloadFailed, _(
            "{repo}:{file} cannot be stored in {folder}: {reason}. Make room, or set HF_HOME to another folder."
        )
    return DownloadFailed, _(
        "{repo}:{file} could not be downloaded: the hub cannot be reached, or the download broke off. Check the network"
        " and try again (it goes on where it stopped), or use smollm2-135m, which needs no hub."
    )


def _refused(error: errors.HfHubHTTPError) -> tuple[type[CourseError], str]:
    """For an answer of the hub that says no."""
    if isinstance(error, errors.GatedRepoError):
        return ModelNotFound, _("{repo} is gated: accept its terms on its page, then sign in with: hf auth login")
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelNotFound, _(
            "There is no repository {repo} on the hub, or it is private: check the name, or: hf auth login"
        )
    if isinstance(error, errors.RemoteEntryNotFoundError | errors.RevisionNotFoundError):
        return ModelNotFound, _("The repository {repo} has no file {file}; look at its list of files.")
    if _status(error) in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ModelNotFound, _("The hub does not give {repo} to this token; sign in with: hf auth login")
    return DownloadFailed, _("The hub answers {status} for {repo}:{file}; try again in a few minutes.")
