"""A model as engines that read the hub take it in a cluster."""

from __future__ import annotations

import re

from courselib.errors import ModelNotFound
from courselib.i18n import _
from courselib.manifests.container import DATA
from courselib.models import CATALOGUE


def model_and_revision(model: str) -> tuple[str, str | None]:
    """What the engine is given, and the commit that the course uses of its own models.

    Raises:
        ModelNotFound: it is neither on the hub nor in the volume.
    """
    for entry in CATALOGUE:
        if model.lower() in (entry.name, entry.hf_repo.lower()):
            return entry.hf_repo, entry.hf_revision
    name = model.removeprefix("hf:")
    if model.startswith(DATA + "/") or re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", name):
        return name, None
    raise ModelNotFound(
        _(
            "model is {model!r}, which a cluster cannot fetch; give a name of the course ({names}), 'owner/repository',"
            " or the path of a folder in the volume, such as {data}/model."
        ).format(model=model, names=", ".join(entry.name for entry in CATALOGUE), data=DATA)
    )
