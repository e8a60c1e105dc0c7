"""llama.cpp's container: the weights are fetched and checked before the server starts."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from shlex import quote

from courselib.engines.base import prepared_as
from courselib.engines.llamacpp.engine import ENGINE
from courselib.engines.llamacpp.settings import LlamaCppSettings, PreparedLlamaCpp
from courselib.errors import ModelNotFound, SettingsError
from courselib.i18n import _
from courselib.manifests.cluster import ClusterSettings, as_bytes
from courselib.manifests.container import DATA, EVERYWHERE, OF_ALL, PORT, Container, refuse_of_this_machine
from courselib.models import CATALOGUE

# The build that the course is tested with; the names of the tags are those of llama.cpp's docs/docker.md.
BUILD = "b11549"
REPOSITORY = "ghcr.io/ggml-org/llama.cpp"
HUB = "https://huggingface.co"
ELSEWHERE = (*OF_ALL, "binary")


def container(settings: LlamaCppSettings, cluster: ClusterSettings) -> Container:
    """The container of llama.cpp's server.

    Raises:
        SettingsError: settings that cannot hold in a container, or describe another machine.
        ModelNotFound: the model's file cannot be had in a cluster.
    """
    refuse_of_this_machine(settings, ELSEWHERE)
    _check(settings, cluster)
    path, fetch, downloads = _weights(settings.model)
    ready = prepared_as(
        PreparedLlamaCpp,
        settings,
        model=path,
        host=EVERYWHERE,
        alias=settings.alias or PurePosixPath(settings.model).name,
        threads=settings.threads or cluster.cores,
    )
    _course, _program, *flags = ENGINE.command(ready, port=PORT, key="").shown
    on_gpu = bool(settings.gpu_layers)
    return Container(
        engine=ENGINE.name,
        settings=LlamaCppSettings,
        image=f"{REPOSITORY}:server-cuda12-{BUILD}" if on_gpu else f"{REPOSITORY}:server-{BUILD}",
        command=["/app/llama-server"],
        arguments=flags,
        key="LLAMA_API_KEY",
        queue="llamacpp:requests_deferred",
        start_s=ENGINE.start_timeout_s,
        gpus=int(on_gpu),
        fetch=fetch,
        downloads=downloads,
        metrics_need_key=True,
        capabilities=("IPC_LOCK",) if settings.mlock else (),
    )


def _check(settings: LlamaCppSettings, cluster: ClusterSettings) -> None:
    if cluster.scales and not settings.metrics:
        raise SettingsError(
            _("metrics is False, so the autoscaler cannot see the queue; leave metrics on, or set max_replicas={low}.")
            .format(low=cluster.replicas)
        )  # fmt: skip
    if settings.threads is not None and settings.threads > cluster.cores:
        raise SettingsError(
            _("threads is {threads}, but a pod reserves {cores} cores; lower threads, or raise cores.").format(
                threads=settings.threads, cores=cluster.cores
            )
        )
    if settings.cache_ram * 2**20 >= as_bytes("memory", cluster.memory):
        raise SettingsError(
            _(
                "cache_ram is {cache} MiB, which alone fills the pod's memory of {memory} in time; lower cache_ram, or"
                " raise memory."
            ).format(cache=settings.cache_ram, memory=cluster.memory)
        )


def _weights(model: str) -> tuple[str, str | None, bool]:
    """The file's path in the container, the script that has it there, and whether that downloads it."""
    entry = next((entry for entry in CATALOGUE if entry.name == model.lower()), None)
    if entry:
        path = f"{DATA}/{entry.file}"
        check = f"echo '{entry.sha256}  {path}' | sha256sum --check"
        if entry.bundled:
            return path, check, False
        url = f"{HUB}/{entry.repo}/resolve/{entry.revision}/{entry.file}"
        return path, f"{_download(url, path)}{check} || {{ rm {path}; exit 1; }}\n", True
    if model.startswith(DATA + "/"):
        return model, None, False
    found = re.fullmatch(r"(?:hf:)?([\w.-]+/[\w.-]+):([\w./-]+\.gguf)", model)
    if not found:
        raise ModelNotFound(
            _(
                "model is {model!r}, which a cluster cannot fetch; give a name of the course ({names}),"
                " 'owner/repository:file.gguf', or the path of a file in the volume, such as {data}/model.gguf."
            ).format(model=model, names=", ".join(entry.name for entry in CATALOGUE), data=DATA)
        )
    path = f"{DATA}/{PurePosixPath(found[2]).name}"
    return path, _download(f"{HUB}/{found[1]}/resolve/main/{found[2]}", path), True


def _download(url: str, path: str) -> str:
    """A file that is there is kept; a part of one never has the name of the whole."""
    part = f'{quote(path)}."$HOSTNAME"'
    fetch = f"curl --fail --location --silent --show-error --output {part} {quote(url)}"
    return f"if [ ! -f {quote(path)} ]; then\n  {fetch}\n  mv {part} {quote(path)}\nfi\n"
