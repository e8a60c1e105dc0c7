"""Environments with the kernels learners have elsewhere, made once in ``.venvs`` and kept.

Versions: Colab's preinstalled packages (googlecolab/backend-info, August 2026) and Binder's frozen base (repo2docker,
October 2025). The newest kernel is the one of the environment the tests run in.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
COLAB = ("ipykernel==6.17.1", "ipywidgets==7.7.1", "ipython==7.34.0", "traitlets==5.7.1", "jupyter_client==7.4.9",
         "plotly==5.24.1", "anywidget==0.9.21")  # fmt: skip
BINDER = ("ipykernel==7.0.1", "ipywidgets==8.1.7")
PINS = {"colab": COLAB, "binder": BINDER}
# What Colab runs, and Binder's default; where there is none, their packages are tried on the Python at hand.
PYTHONS = {"colab": "python3.13", "binder": "python3.10"}


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
        subprocess.run([_base_python(PYTHONS[name]), "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary=:all:"]
        # What is preinstalled there is what counts: the course is installed on top and must change none of it.
        subprocess.run([*pip, *pins], check=True)
        subprocess.run([*pip[:-1], "setuptools>=77"], check=True)
        subprocess.run([*pip[:-1], "--no-build-isolation", "--editable", str(ROOT), *pins], check=True)
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
