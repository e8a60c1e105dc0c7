"""Environments with the kernels learners have elsewhere, made once in ``.venvs`` and kept.

Versions: Colab's preinstalled packages (colab.txt beside this file) and Binder's frozen base (repo2docker, October
2025). The newest kernel is the one of the environment the tests run in.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
INSTALL = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet")


def read_pins(name: str) -> tuple[str, ...]:
    """The packages and versions in a file beside this one."""
    return tuple(re.findall(r"^\w.*", Path(__file__).with_name(name).read_text(encoding="utf-8"), re.MULTILINE))


PINS = {"colab": read_pins("colab.txt"), "binder": ("ipykernel==7.0.1", "ipywidgets==8.1.7")}
# What Colab runs, and Binder's default; where there is none, their packages are tried on the Python at hand.
PYTHONS = {"colab": "python3.13", "binder": "python3.10"}


def bare_colab(folder: Path) -> Path:
    """The interpreter of a new environment with what Colab has before the course is installed."""
    python = make_environment(folder, PYTHONS["colab"], PINS["colab"])
    # IPython requires it, and Colab leaves it out.
    subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", "jedi"], check=True)
    return python


def make_environment(folder: Path, wanted: str, pins: tuple[str, ...]) -> Path:
    """Make an environment of a Python and of wheels; returns its interpreter."""
    subprocess.run([_base_python(wanted), "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, *INSTALL, "--only-binary=:all:", *pins], check=True)
    return python


def kernel_python(name: str) -> Path:
    """The interpreter of an environment, made if need be; ``"current"`` is the one running."""
    if name == "current":
        return Path(sys.executable)
    pins = PINS[name]
    digest = hashlib.sha256("\n".join([*pins, (ROOT / "pyproject.toml").read_text()]).encode()).hexdigest()[:12]
    folder = ROOT / ".venvs" / f"{name}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        make_environment(folder, PYTHONS[name], pins)
        # What is preinstalled there is what counts: the course is installed on top and must change none of it.
        subprocess.run([python, *INSTALL, "setuptools>=77"], check=True)
        subprocess.run([python, *INSTALL, "--no-build-isolation", "--editable", ROOT, *pins], check=True)
        (folder / "complete").touch()
    return python


def _base_python(wanted: str) -> str:
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    installed = sorted(map(str, pyenv.glob(f"versions/{wanted.removeprefix('python')}.*/bin/python")))
    for candidate in (*installed, shutil.which(wanted)):
        if candidate and _works(candidate):
            return candidate
    return sys.executable


def _works(python: str) -> bool:
    return subprocess.run([python, "-c", "import ensurepip"], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    for made in PINS:
        kernel_python(made)
