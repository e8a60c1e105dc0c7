"""vLLM's container: it fetches the weights itself, into the volume."""

from __future__ import annotations

from courselib.engines.base import prepared_as
from courselib.engines.vllm.engine import ENGINE
from courselib.engines.vllm.environment import NO_STATISTICS
from courselib.engines.vllm.settings import PreparedVllm, VllmSettings
from courselib.manifests.cluster import ClusterSettings
from courselib.manifests.container import DATA, EVERYWHERE, OF_ALL, PORT, Container, refuse_of_this_machine
from courselib.manifests.hub import model_and_revision

IMAGE = "vllm/vllm-openai:v0.32.0"
# What vLLM's own manifest for Kubernetes gives it (docs/deployment/k8s.md).
SHM = "2Gi"
ELSEWHERE = (*OF_ALL, "python", "cpus")


def container(settings: VllmSettings, cluster: ClusterSettings) -> Container:  # noqa: ARG001 - as the other engines'
    """The container of vLLM's server.

    Raises:
        SettingsError: settings that describe another machine.
        ModelNotFound: the model cannot be had in a cluster.
    """
    refuse_of_this_machine(settings, ELSEWHERE)
    model, revision = model_and_revision(settings.model)
    names = settings.served_names or (settings.model,)
    ready = prepared_as(PreparedVllm, settings, model=model, host=EVERYWHERE, served_model_name=names)
    program, serve, shown, *flags = ENGINE.command(ready, port=PORT, key="").shown
    gpus = settings.tensor_parallel_size
    return Container(
        engine=ENGINE.name,
        settings=VllmSettings,
        image=IMAGE,
        command=[program, serve],
        arguments=[shown, *(["--revision", revision] if revision else []), *flags],
        key="VLLM_API_KEY",
        queue="vllm:num_requests_waiting",
        start_s=ENGINE.start_timeout_s,
        variables={"HF_HOME": DATA, **NO_STATISTICS},
        gpus=gpus,
        shm=SHM if gpus > 1 else None,
        downloads=not model.startswith(DATA + "/"),
        token=revision is None,
    )
