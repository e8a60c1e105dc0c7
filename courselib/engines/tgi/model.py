"""The model as TGI takes it, and whether the hub wants a token for it."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from courselib.errors import ModelNotFound
from courselib.i18n import _

LOOK_TIMEOUT_S = 5.0


def hub_name_or_folder(model: str) -> str:
    """The model as TGI takes it: ``owner/name`` on the hub, or a folder's whole path.

    Raises:
        ModelNotFound: it is neither, or the folder holds no model.
    """
    from huggingface_hub import constants

    from courselib import models

    known = {entry.name: entry.hf_repo for entry in models.catalogue()}
    if model.lower() in known:
        # Without a hub the course's own model is still here, if it can be made into what TGI reads.
        return str(models.hf_directory(model)) if constants.HF_HUB_OFFLINE else known[model.lower()]
    path = Path(model).expanduser()
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelNotFound(
                _("{path} is a folder without config.json; TGI needs one saved by transformers.").format(path=model)
            )
        return str(path.absolute())
    if path.is_file():
        raise ModelNotFound(
            _("{path} is a file, and TGI reads folders; models.hf_directory makes one from a GGUF.").format(path=model)
        )
    if re.fullmatch(r"[\w.-]+/[\w.-]+", model):
        return model
    near = difflib.get_close_matches(model.lower(), known, n=1, cutoff=0.5)
    hint = _(" Did you mean {near}?").format(near=near[0]) if near else ""
    raise ModelNotFound(
        _("There is no model {name!r}; use one of {names}, owner/name on the hub, or a folder.").format(
            name=model, names=", ".join(known)
        )
        + hint
    )


def fixed_revision(model: str) -> str | None:
    """The commit at which the course uses a repository of its catalogue; None for any other model."""
    from courselib import models

    return next((entry.hf_revision for entry in models.catalogue() if entry.hf_repo == model), None)


def needed_token(model: str) -> str | None:
    """The hub's token that this machine is signed in with, if the model cannot be had without one.

    A token opens everything that its owner may see and do on the hub: a container gets none for a public model.
    """
    from huggingface_hub import get_token

    token = None if Path(model).is_absolute() else get_token()
    return token if token and not _is_public(model) else None


def _is_public(repository: str) -> bool:
    """Whether the hub gives it to everybody; where the hub cannot be asked, it may not."""
    import httpx
    from huggingface_hub import HfApi

    from courselib import models

    if repository in [entry.hf_repo for entry in models.catalogue()]:
        return True
    try:
        return not HfApi().model_info(repository, token=False, timeout=LOOK_TIMEOUT_S).gated
    except (httpx.HTTPError, OSError, ValueError):
        return False
