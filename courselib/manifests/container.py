"""What the manifest of an engine needs to know of it, and what the engines have in common."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from courselib.engines.base import EngineSettings
from courselib.engines.settings_help import settings_help
from courselib.errors import SettingsError
from courselib.i18n import _
from courselib.manifests.explained import said

PORT = 8080
# Where the volume with the weights is seen in the container.
DATA = "/data"
# The address of every interface: a probe and the Service come from outside the container.
EVERYWHERE = "0.0.0.0"  # noqa: S104
# In every engine's settings, and a matter of the cluster here.
OF_ALL = ("host", "port", "api_key")


@dataclass(frozen=True)
class Container:
    """An engine's container.

    Args:
        engine: its name, as ``launch`` takes it.
        settings: the type of its settings, whose help explains the flags.
        image: with a tag that does not move.
        command: the program, in the image; empty for the image's own.
        arguments: the words behind it.
        key: the environment variable that takes the API key.
        queue: the series in its ``/metrics`` that counts the waiting requests.
        start_s: seconds that a start may take.
        variables: environment, besides secrets.
        gpu: the resource's name in Kubernetes.
        gpus: how many.
        shm: shared memory, such as ``1Gi``; None where it is not needed.
        fetch: a script that has the weights in the volume before the start; None where the engine does it.
        downloads: whether weights come from the hub at all.
        token: whether the hub may want a token for them.
        metrics_need_key: whether ``/metrics`` is refused without the key.
        capabilities: those of Linux that it needs.
    """

    engine: str
    settings: type[EngineSettings]
    image: str
    command: list[str]
    arguments: list[str]
    key: str
    queue: str
    start_s: float
    variables: Mapping[str, str] = field(default_factory=dict)
    gpu: str = "nvidia.com/gpu"
    gpus: int = 0
    shm: str | None = None
    fetch: str | None = None
    downloads: bool = True
    token: bool = False
    metrics_need_key: bool = False
    capabilities: tuple[str, ...] = ()


def refuse_of_this_machine(settings: EngineSettings, names: tuple[str, ...]) -> None:
    """Make sure that nothing is set which a cluster cannot know or must not see.

    Raises:
        SettingsError: something is; a key's value is not shown.
    """
    for each in dataclasses.fields(settings):
        if each.name not in names or getattr(settings, each.name) == each.default:
            continue
        if not each.repr:
            raise SettingsError(
                _("{name} belongs in a Secret, and not in a manifest, which many people read; leave it out.").format(
                    name=each.name
                )
            )
        raise SettingsError(
            _("{name} describes the machine on which the launcher runs; leave it out of a manifest.").format(
                name=each.name
            )
        )


def explained_arguments(container: Container) -> list[Any]:
    """The arguments, each flag with what the settings' help says of it."""
    helps = dict(_flag_helps(container.settings))
    helps |= {
        "--model": _("model: the file in the volume; see initContainers."),
        "--model-id": _("model: a repository on the hub, or a folder in the volume."),
        "--revision": _("The commit of the model's repository, so that every pod has the same weights."),
        "--host": _("Every address of the pod: probes and the Service come from outside the container."),
        "--hostname": _("Every address of the pod: probes and the Service come from outside the container."),
        "--port": _("Free in the pod, which has an address of its own."),
        "--cors-origins": _("No web page of another origin may call the server."),
        "--log-verbosity": _("The log shows the sizes of weights, KV cache and buffers."),
    }
    whys = [helps.get(word.replace("--no-", "--", 1)) for word in container.arguments]
    return [said(word, why) if why else word for word, why in zip(container.arguments, whys, strict=True)]


def _flag_helps(settings: type[EngineSettings]) -> Iterator[tuple[str, str]]:
    """Of each flag the setting's name and help; two settings that share a help have a flag each, of their own name."""
    for name, text in settings_help(settings).items():
        flags = re.findall(r"--[\w-]+", " ".join(re.findall(r"\(--[^)]*\)", text)))
        for flag in flags:
            if len(flags) == 1 or flag == f"--{name.replace('_', '-')}":
                yield flag, f"{name}: {re.sub(r',? *[(]--[^)]*[)]', '', text)}"
