"""What is here, what is missing, and the line that mends it."""

from __future__ import annotations

import dataclasses
import enum
import json
import platform
import shutil
import sys
from dataclasses import dataclass

import psutil

from courselib import environment
from courselib.errors import CourseError
from courselib.i18n import _

MIN_FREE_MEMORY = 1 << 30


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
    return [*_machine(), *_engines(), *_models(), *_packages()]


def as_json(findings: list[Finding]) -> str:
    """The findings as a JSON list, for programs and for bug reports."""
    return json.dumps([{**dataclasses.asdict(f), "state": f.state.value} for f in findings], indent=2)


def _machine() -> list[Finding]:
    memory = psutil.virtual_memory()
    gib = 1 << 30
    enough = memory.available >= MIN_FREE_MEMORY
    findings = [
        Finding("python", State.OK, f"{platform.python_version()} ({sys.prefix})"),
        Finding("system", State.OK, f"{platform.platform()}, {environment.place()}"),
        Finding(
            "cpu",
            State.OK,
            _("{name}, {cores} cores; {features}").format(
                name=environment.cpu_name(),
                cores=environment.cores(),
                features=" ".join(environment.cpu_features()) or "-",
            ),
        ),
        Finding(
            "memory",
            State.OK if enough else State.BROKEN,
            _("{available:.1f} of {total:.1f} GiB free").format(
                available=memory.available / gib, total=memory.total / gib
            ),
            "" if enough else _("Close other programs: an engine with its model needs about 1 GiB."),
        ),
    ]
    if "amx_tile" in environment.cpu_features() and not environment.amx_granted():
        findings.append(
            Finding(
                "amx",
                State.ABSENT,
                _("announced by the processor, but not granted to this process"),
                _("Build llama.cpp with -DGGML_NATIVE=OFF: a native build would crash at its first token."),
            )
        )
    return [*findings, *_accelerators()]


def _accelerators() -> list[Finding]:
    gpus = environment.gpus()
    docker = environment.docker()
    gpu = (
        Finding("gpu", State.OK, ", ".join(f"{g.name} ({g.memory_mib} MiB)" for g in gpus))
        if gpus
        else Finding("gpu", State.ABSENT, _("no NVIDIA GPU found; everything runs on the CPU"))
    )
    remedies = {
        "missing": _("Only TGI's own container needs it: https://docs.docker.com/get-docker/"),
        "not running": _("Start it: sudo systemctl start docker, or open Docker Desktop."),
    }
    remedy = remedies.get(docker) or (
        "" if environment.version("docker") else _("For the course to fetch TGI's image: pip install 'courselib[tgi]'")
    )
    return [gpu, Finding("docker", State.ABSENT if docker in remedies else State.OK, _(docker), remedy)]


def _engines() -> list[Finding]:
    wheel = environment.version("xllamacpp")
    library = environment.version("llama-cpp-python")
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
    from courselib.engines import vllm_environment

    try:
        found = vllm_environment.find()
    except CourseError as error:
        begun = vllm_environment.folder().exists()
        text = (
            error.message if vllm_environment.asked() else _("installation broken off") if begun else _("not installed")
        )
        return Finding("vllm", State.ABSENT, text, vllm_environment.INSTALL)
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
    found = {name: environment.version(name) for name in environment.PACKAGES}
    missing = [name for name, version in found.items() if version is None]
    here = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    findings = [Finding("packages", State.OK, here)]
    if missing:
        remedy = "pip install " + " ".join(missing)
        findings.append(
            Finding("packages", State.ABSENT, _("missing: {names}").format(names=", ".join(missing)), remedy)
        )
    return findings
