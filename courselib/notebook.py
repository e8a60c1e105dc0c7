"""The notebook we run in: which front end it has, and the first cell of every lesson."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import sys
from pathlib import Path

from courselib.i18n import _, ngettext
from courselib.machine import apple_gpu, cores, gpus, memory
from courselib.network import spare_this_machine
from courselib.version import VERSION


def say(sentence: str) -> None:
    """Show a person a sentence: below the cell that runs or, in a terminal, beside the output of the program."""
    # What a notebook writes to standard error looks like a failure; a program's standard output may be read by another.
    print(sentence, file=sys.stdout if "ipykernel" in sys.modules else sys.stderr)


def place() -> str:
    """Where we run: ``"colab"``, ``"binder"``, ``"vscode"``, ``"jupyter"`` or ``"terminal"``."""
    if "COLAB_RELEASE_TAG" in os.environ or "google.colab" in sys.modules:
        return "colab"
    if "BINDER_SERVICE_HOST" in os.environ or "BINDER_REPO_URL" in os.environ:
        return "binder"
    if "VSCODE_PID" in os.environ:
        return "vscode"
    return "jupyter" if "ipykernel" in sys.modules else "terminal"


def setup() -> None:
    """First cell of every lesson: prepares the front end and says in one line where we are."""
    # A kernel started outside its environment's shell does not find the environment's programs, as in `!courselib`.
    if not shutil.which("courselib"):
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

    spare_this_machine()
    if place() == "colab":
        # A kernel of one's own, which Colab's page is connected to, has no such package.
        with contextlib.suppress(ImportError):
            from google.colab import output

            output.enable_custom_widget_manager()
    graphics = ", ".join(gpu.name for gpu in gpus()) or (
        f"{apple.name} (Metal)" if (apple := apple_gpu()) else _("no GPU")
    )
    total = memory().total / 2**30
    print(
        _("courselib {version} on Python {python}: {cores}, {memory} GiB of memory, {gpu}").format(
            version=VERSION,
            python=platform.python_version(),
            cores=ngettext("{n} core", "{n} cores", cores()).format(n=cores()),
            memory=round(total, 1 if total < 10 else None),
            gpu=graphics,
        )
    )
