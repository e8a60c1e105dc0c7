"""TGI's container: it fetches the weights itself, into the volume."""

from __future__ import annotations

import re
from dataclasses import replace

from courselib.engines.tgi.engine import ENGINE, LAUNCHER
from courselib.engines.tgi.settings import TgiSettings
from courselib.engines.tgi.values import CPU_IMAGE, IMAGE, ROCM_IMAGE, XPU_IMAGE
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.manifests.cluster import ClusterSettings
from courselib.manifests.container import DATA, EVERYWHERE, OF_ALL, PORT, Container, refuse_of_this_machine
from courselib.manifests.hub import model_and_revision

ELSEWHERE = (*OF_ALL, "token", "binary", "prometheus_port", "gpus", "volume", "container")


def container(settings: TgiSettings, cluster: ClusterSettings) -> Container:  # noqa: ARG001 - as the other engines'
    """The container of TGI.

    Raises:
        SettingsError: settings that describe another machine, or leave the number of GPUs open.
        ModelNotFound: the model cannot be had in a cluster.
    """
    refuse_of_this_machine(settings, ELSEWHERE)
    image = settings.image or IMAGE
    _check(settings, image)
    model, revision = model_and_revision(settings.model)
    ready = replace(
        settings, model=model, revision=settings.revision or revision, image=image, host=EVERYWHERE, binary=LAUNCHER
    )
    made = ENGINE.command(ready, port=PORT, key="")
    _program, *flags = made.shown
    # The CPU image keeps models one level higher than the others.
    home = {"HUGGINGFACE_HUB_CACHE": f"{DATA}/hub"} if CPU_IMAGE in image else {"HF_HOME": DATA}
    gpus = 0 if CPU_IMAGE in image else settings.num_shard or 1
    return Container(
        engine=ENGINE.name,
        settings=TgiSettings,
        image=image,
        # The image's own, a script that sets library paths for the launcher.
        command=[],
        arguments=flags,
        key="API_KEY",
        queue="tgi_queue_size",
        start_s=ENGINE.start_timeout_s,
        variables={**home, **{name: value for name, value in made.environment.items() if name != "API_KEY"}},
        gpu="amd.com/gpu" if ROCM_IMAGE in image else "nvidia.com/gpu",
        gpus=gpus,
        shm=_quantity(settings.shm_size) if gpus > 1 else None,
        downloads=not model.startswith(DATA + "/"),
        token=revision is None,
    )


def _check(settings: TgiSettings, image: str) -> None:
    if XPU_IMAGE in image:
        raise SettingsError(
            _("image is {image!r}; manifests are for NVIDIA's and AMD's GPUs and for CPUs only; choose an image without"
              " {suffix}.").format(image=image, suffix=XPU_IMAGE)
        )  # fmt: skip
    if settings.sharded and settings.num_shard is None:
        raise SettingsError(
            _("sharded is True, but a manifest must name the number of GPUs; set num_shard in its place.")
        )


def _quantity(size: str) -> str:
    """Docker's size as Kubernetes writes it; both count in powers of 1024."""
    found = re.fullmatch(r"([\d.]+)([bkmg]?)", size.lower())
    assert found is not None  # the settings have checked it
    return found[1] + {"": "", "b": "", "k": "Ki", "m": "Mi", "g": "Gi"}[found[2]]
