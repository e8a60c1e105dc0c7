"""Text Generation Inference: command, and how it reports and fails.

TGI runs as ``text-generation-launcher`` where one is on the PATH, else in its container. The container is started by
Docker's own command, under the guard that ends every engine: so what is shown is what runs, a TERM reaches TGI through
Docker's client, and ``tgi_container`` removes what that leaves.
The project is in maintenance mode since December 2025; 3.3.7 is its last release, and calls itself 3.3.6-dev0.
Flags, defaults and messages: TGI 3.3.7, read in its source; its router and launcher could not be run here.
"""

from __future__ import annotations

import difflib
import re
import shutil
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from courselib import environment
from courselib.engines import tgi_container, tgi_docker
from courselib.engines.base import Cause, Command, Engine, EngineSettings, Memory, Metrics, parse_prometheus
from courselib.engines.ports import check_port, free_port
from courselib.engines.tgi_causes import CAUSES
from courselib.engines.tgi_rules import CPU_IMAGE, ignored
from courselib.engines.tgi_settings import COUNTS, IMAGE, TgiSettings
from courselib.errors import EngineMissing, ModelNotFound, PortTaken, SettingsError
from courselib.i18n import N_, _

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


class Tgi(Engine):
    """Hugging Face's Text Generation Inference."""

    name = "tgi"
    settings_type = TgiSettings
    hub_path = ""
    causes: ClassVar[tuple[Cause, ...]] = CAUSES
    phases = PHASES
    # Docker's client and the removal of the container have their share in it: tgi_container.
    grace_s = 10.0
    # Weights are downloaded inside, by TGI itself.
    start_timeout_s = 1800.0

    def prepare(self, settings: EngineSettings) -> TgiSettings:
        """Find launcher or Docker, name the model as TGI wants it, fetch the image; warn of what TGI will ignore."""
        from huggingface_hub import get_token

        assert isinstance(settings, TgiSettings)
        ready = replace(self.for_this_machine(settings), token=settings.token or get_token())
        ready = _prepare_docker(ready) if ready.binary == DOCKER else _prepare_launcher(ready)
        for name, reason in ignored(ready).items():
            warnings.warn(_("TGI ignores {name}: {reason}.").format(name=name, reason=reason), stacklevel=3)
        return ready

    def for_this_machine(self, settings: TgiSettings) -> TgiSettings:
        """What was left open chosen for this machine; neither Docker nor the hub is asked.

        Raises:
            EngineMissing, ModelNotFound, SettingsError: what was asked for is not here, or breaks TGI's rules.
        """
        binary = _choose_binary(settings.binary)
        ready = replace(settings, model=_hub_name_or_folder(settings.model), binary=binary)
        return _choose_image(ready) if binary == DOCKER else ready

    def command(self, settings: EngineSettings, *, port: int, key: str) -> Command:
        """The launcher's flags, behind ``docker run`` or not; key and token go by environment, unseen by ``ps``."""
        assert isinstance(settings, TgiSettings)
        secrets = {"API_KEY": key, **({"HF_TOKEN": settings.token} if settings.token else {})}
        if settings.binary not in ("auto", DOCKER):
            words = [settings.binary, "--model-id", settings.model, "--hostname", settings.host, "--port", str(port)]
            words += ["--prometheus-port", str(settings.prometheus_port), *_flags(settings)]
            chunking = {} if settings.prefill_chunking else {"PREFILL_CHUNKING": "0"}
            return Command(run=words, shown=words, environment={**secrets, **chunking})
        folder = settings.model_folder
        model = tgi_docker.inside_path(folder) if folder else settings.model
        shown = [*tgi_docker.run_words(settings, port=port), "--model-id", model, *_flags(settings)]
        run = [sys.executable, "-I", "-S", str(tgi_container.__file__), *shown]
        return Command(run=run, shown=shown, environment=secrets)

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
            rss=tgi_docker.container_bytes(container[1]) if container else rss,
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
    gpus = environment.gpus()
    image = settings.image or (IMAGE if gpus else IMAGE + CPU_IMAGE)
    if settings.gpus == "auto":
        settings = replace(settings, gpus="all" if gpus and CPU_IMAGE not in image else None)
    return replace(settings, image=image)


def _prepare_docker(settings: TgiSettings) -> TgiSettings:
    """Make sure that the container can be started."""
    tgi_docker.check_docker()
    tgi_docker.published_host(settings.host)
    _check_shards(settings, len(environment.gpus()))
    if settings.container is not None:
        tgi_docker.check_name(settings.container)
    assert settings.image is not None
    tgi_docker.ensure_image(settings.image)
    return settings


def _prepare_launcher(settings: TgiSettings) -> TgiSettings:
    _check_shards(settings, len(environment.gpus()))
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
    if settings.num_shard is None and settings.sharded is not False and gpus > 1:
        replace(settings, num_shard=gpus)  # TGI takes them all, and asks its rules of that
    if settings.num_shard is not None and settings.num_shard > max(gpus, 1):
        raise SettingsError(
            _("num_shard is {asked}, but this machine has {n} GPUs; lower it, or leave it out to use all.").format(
                asked=settings.num_shard, n=gpus
            )
        )


def _hub_name_or_folder(model: str) -> str:
    """The model as TGI takes it: ``owner/name`` on the hub, or a folder's whole path."""
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
                _("{path} is a folder without config.json; TGI wants one as transformers saves it.").format(path=model)
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


def _flags(settings: TgiSettings) -> list[str]:
    """Settings as the launcher's flags; what is not set is left to TGI."""
    flags = [] if settings.sharded is None else ["--sharded", str(settings.sharded).lower()]
    for name in FLAGS:
        if (value := getattr(settings, name)) is not None:
            flags += ["--" + name.replace("_", "-"), str(value)]
    return flags


ENGINE = Tgi()
