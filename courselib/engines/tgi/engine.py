"""Text Generation Inference: command, and how it reports and fails.

TGI runs as ``text-generation-launcher`` where one is on the PATH, else in its container. The container is started by
Docker's own command, under the guard that ends every engine: so what is shown is what runs, a TERM reaches TGI through
Docker's client, and ``container`` removes what that leaves.
The project is in maintenance mode since December 2025; 3.3.7 is its last release, and calls itself 3.3.6-dev0.
Flags, defaults and messages: TGI 3.3.7, read in its source; its router and launcher could not be run here.
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from courselib import machine
from courselib.engines.base import Cause, Command, Engine, Memory, Metrics, parse_prometheus
from courselib.engines.tgi import container as container_script
from courselib.engines.tgi import docker
from courselib.engines.tgi.causes import CAUSES
from courselib.engines.tgi.model import fixed_revision, hub_name_or_folder, needed_token
from courselib.engines.tgi.rules import ignored
from courselib.engines.tgi.settings import COUNTS, TgiSettings
from courselib.engines.tgi.values import CPU_IMAGE, IMAGE
from courselib.errors import EngineMissing, PortTaken, SettingsError
from courselib.i18n import N_, _
from courselib.processes.ports import check_port, free_port

if TYPE_CHECKING:
    import httpx

LAUNCHER = "text-generation-launcher"
DOCKER = "docker"
FLAGS = (
    "revision", *COUNTS, "waiting_served_ratio", "cuda_memory_fraction", "quantize", "dtype", "kv_cache_dtype",
    "cuda_graphs", "usage_stats",
)  # fmt: skip
PHASES = (
    (r"", N_("starting")),
    (r"Starting check and download process", N_("looking for the weights")),
    (r"Download file|Downloaded ", N_("downloading weights")),
    (r"Starting shard", N_("loading weights")),
    (r"Shard ready", N_("opening the server")),
    (r"Warming up model", N_("warming up")),
    (r"\bConnected\b", N_("ready")),
)


class Tgi(Engine[TgiSettings, TgiSettings]):
    """Hugging Face's Text Generation Inference."""

    name = "tgi"
    settings_type = TgiSettings
    hub_path = ""
    causes: ClassVar[tuple[Cause, ...]] = CAUSES
    phases = PHASES
    # Docker's client and the removal of the container have their share in it: container.
    grace_s = 10.0
    # Weights are downloaded inside, by TGI itself.
    start_timeout_s = 1800.0

    def prepare(self, settings: TgiSettings) -> TgiSettings:
        """Find launcher or Docker, name the model as TGI wants it, fetch the image."""
        ready = self.for_this_machine(settings)
        ready = replace(ready, token=settings.token or needed_token(ready.model))
        return _prepare_docker(ready) if ready.binary == DOCKER else _prepare_launcher(ready)

    def for_this_machine(self, settings: TgiSettings) -> TgiSettings:
        """What was left open chosen for this machine; neither Docker nor the hub is asked.

        Raises:
            EngineMissing, ModelNotFound, SettingsError: what was asked for is not here, or breaks TGI's rules.
        """
        binary = _choose_binary(settings.binary)
        ready = replace(settings, model=hub_name_or_folder(settings.model), binary=binary)
        return _choose_image(ready) if binary == DOCKER else ready

    def command(self, settings: TgiSettings, *, port: int, key: str) -> Command:
        """The launcher's flags, behind ``docker run`` or not; key and token go by environment, unseen by ``ps``."""
        sentence = _("TGI ignores {name}: {reason}.")
        notes = tuple(sentence.format(name=name, reason=reason) for name, reason in ignored(settings).items())
        secrets = {"API_KEY": key, **({"HF_TOKEN": settings.token} if settings.token else {})}
        if settings.binary not in ("auto", DOCKER):
            words = [settings.binary, "--model-id", settings.model, "--hostname", settings.host, "--port", str(port)]
            words += ["--prometheus-port", str(settings.prometheus_port), *_flags(settings)]
            chunking = {} if settings.prefill_chunking else {"PREFILL_CHUNKING": "0"}
            return Command(run=words, shown=words, environment={**secrets, **chunking}, notes=notes)
        folder = settings.model_folder
        model = docker.inside_path(folder) if folder else settings.model
        shown = [*docker.run_words(settings, port=port), "--model-id", model, *_flags(settings)]
        run = [sys.executable, "-I", "-S", str(container_script.__file__), *shown]
        return Command(run=run, shown=shown, environment=secrets, notes=notes)

    def first_token(self, http: httpx.Client, model: str) -> None:  # noqa: ARG002 - TGI serves one model
        """Generate one token by TGI's own route."""
        http.post("/generate", json={"inputs": "Hello", "parameters": {"max_new_tokens": 1}}).raise_for_status()

    def recognise(self, http: httpx.Client) -> bool:
        """TGI's router names itself in ``/info``."""
        answer = http.get("/info")
        kind = answer.headers.get("content-type", "")
        return bool(kind.startswith("application/json") and answer.json().get("router") == "text-generation-router")

    def memory(self, log: str, rss: int) -> Memory:
        """Of a container its own memory, as Docker counts it; of the KV cache TGI reports tokens, and no bytes."""
        container = re.search(r"^container (\S+)$", log, re.MULTILINE)
        tokens = re.search(r"Setting max batch total tokens to (\d+)", log)
        return Memory(
            rss=docker.container_bytes(container[1]) if container else rss,
            kv_cache_tokens=int(tokens[1]) if tokens else None,
        )

    def metrics(self, http: httpx.Client) -> Metrics:
        """From ``/metrics``; the speed is the mean over all requests so far."""
        raw = parse_prometheus(http.get("/metrics").raise_for_status().text)
        seconds = raw.get("tgi_request_mean_time_per_token_duration_sum", 0.0)
        skipped = raw.get("tgi_request_skipped_tokens_sum")
        count = raw.get("tgi_request_mean_time_per_token_duration_count", 0.0)
        return Metrics(
            running=int(raw.get("tgi_batch_current_size", 0)),
            waiting=int(raw.get("tgi_queue_size", 0)),
            prompt_tokens=int(raw.get("tgi_request_input_length_sum", 0)),
            cached_tokens=None if skipped is None else int(skipped),
            generated_tokens=int(raw.get("tgi_request_generated_tokens_sum", 0)),
            tokens_per_s=count / seconds if seconds > 0 else None,
            raw=raw,
        )


def _choose_binary(binary: str) -> str:
    if binary == "auto":
        return LAUNCHER if shutil.which(LAUNCHER) else DOCKER
    if binary != DOCKER and not shutil.which(binary):
        raise EngineMissing(
            _("There is no program {binary!r}; leave binary out for a launcher on the PATH or Docker.").format(
                binary=binary
            )
        )
    return binary


def _choose_image(settings: TgiSettings) -> TgiSettings:
    """Image and GPUs for what this machine has; the rules are asked again, now that CPU or GPU is known."""
    gpus = machine.gpus()
    image = settings.image or (IMAGE if gpus else IMAGE + CPU_IMAGE)
    if settings.gpus == "auto":
        settings = replace(settings, gpus=_gpu_words() if gpus and CPU_IMAGE not in image else None)
    return replace(settings, image=image)


def _gpu_words() -> str:
    """The GPUs that this process may use, for docker's ``--gpus``, which takes no comma outside of quotes."""
    visible = machine.visible_gpus()
    return "all" if visible is None else f'"device={",".join(visible)}"'


def _prepare_docker(settings: TgiSettings) -> TgiSettings:
    """Make sure that the container can be started."""
    docker.check_docker()
    docker.published_host(settings.host)
    docker.make_volume(settings.volume)
    _check_shards(settings, len(machine.gpus()))
    if settings.container is not None:
        docker.check_name(settings.container)
    assert settings.image is not None
    docker.ensure_image(settings.image)
    return settings


def _prepare_launcher(settings: TgiSettings) -> TgiSettings:
    _check_shards(settings, len(machine.gpus()))
    try:
        check_port("0.0.0.0", settings.prometheus_port)  # noqa: S104 - that is where the router listens
    except PortTaken:  # nothing is ever served there, but the router panics when it is in use
        return replace(settings, prometheus_port=free_port("0.0.0.0"))  # noqa: S104
    return settings


def _check_shards(settings: TgiSettings, gpus: int) -> None:
    if settings.sharded and settings.num_shard is None and gpus <= 1:
        raise SettingsError(
            _("TGI refuses this: not enough cuda devices: `sharded` is true but only found {n} CUDA devices.").format(
                n=gpus
            )
            + _(" Leave sharded out.")
        )
    used = _with_all_gpus(settings, gpus).num_shard
    if used is not None and used > max(gpus, 1):
        raise SettingsError(
            _("num_shard is {asked}, but this machine has {n} GPUs; lower it, or leave it out to use all.").format(
                asked=used, n=gpus
            )
        )


def _with_all_gpus(settings: TgiSettings, gpus: int) -> TgiSettings:
    """The settings as TGI completes them: without ``num_shard`` it uses every GPU, and its rules hold for that, too."""
    chosen = settings.num_shard is not None or settings.sharded is False or gpus <= 1
    return settings if chosen else replace(settings, num_shard=gpus)


def _flags(settings: TgiSettings) -> list[str]:
    """Settings as the launcher's flags; what is not set is left to TGI."""
    settings = replace(settings, revision=settings.revision or fixed_revision(settings.model))
    flags = [] if settings.sharded is None else ["--sharded", str(settings.sharded).lower()]
    for name in FLAGS:
        if (value := getattr(settings, name)) is not None:
            flags += ["--" + name.replace("_", "-"), str(value)]
    return flags


ENGINE = Tgi()
