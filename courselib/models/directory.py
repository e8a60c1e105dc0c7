"""A Hugging Face model directory made from a GGUF, for engines that want one.

transformers does the work, in a process of its own: torch must not enter a notebook's kernel, and may live in
another environment. A directory is kept under its GGUF's SHA-256, so that it is made once whatever the file is called.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from courselib.errors import EngineMissing, ModelError
from courselib.i18n import _
from courselib.models import convert
from courselib.models.cache import cache_folder, checksum
from courselib.models.resolve import resolve

CONVERT_TIMEOUT_S = 1800


def hf_directory(model: str | os.PathLike[str], *, python: str | None = None) -> Path:
    """A directory with config, bfloat16 weights and tokenizer of ``model``, made once and kept in the cache.

    Args:
        model: as for ``resolve``.
        python: an interpreter that has torch, transformers and gguf; None takes this one.

    Returns:
        The directory; never one that is half made.

    Raises:
        ModelError: the model cannot be had, converted or stored.
        EngineMissing: that interpreter lacks what the conversion needs.
    """
    from filelock import FileLock

    source = resolve(model)
    target = cache_folder() / "directories" / checksum(source)
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if not target.is_dir():
                _make(source, target, python or sys.executable)
    except OSError as error:
        raise ModelError(
            _(
                "A model directory cannot be stored in {folder}: {reason}. Set COURSELIB_CACHE to another folder."
            ).format(folder=target.parent, reason=error.strerror)
        ) from None
    return target


def _make(source: Path, target: Path, python: str) -> None:
    # Under the lock nobody else makes this one: what is left there is of a process that was killed.
    prefix = f"making-{target.name}-"
    for left_over in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    click.echo(_("Making a Hugging Face directory from {file} (once)…").format(file=source.name), err=True)
    # Beside the target: a rename is only atomic within one file system.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix) as folder:
        made, log = Path(folder) / "model", Path(folder) / "log"
        code = _run([python, convert.__file__, str(source), str(made)], log)
        said = log.read_text(errors="replace")
        if code == convert.EXIT_MISSING:
            raise EngineMissing(
                _("Making a Hugging Face directory needs {packages}: {python} -m pip install 'courselib[convert]'")
                .format(packages=said.strip().replace(" ", ", "), python=python)
            )  # fmt: skip
        if code:
            raise ModelError(
                _("transformers could not convert {file}; it may not know its architecture, or memory or disk ran out.")
                .format(file=source.name),
                details=said[-2000:],
            )  # fmt: skip
        made.replace(target)


def _run(command: list[str], log: Path) -> int:
    """Run the converter; its exit code."""
    # Everything is on this machine: transformers must not ask the hub for anything.
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    with log.open("wb") as output:
        try:
            # The open standard input tells the converter that we are alive.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
        except OSError as error:
            raise EngineMissing(
                _("The interpreter {python} cannot be started: {reason}.").format(
                    python=command[0], reason=error.strerror
                )
            ) from None
        with process:
            try:
                return process.wait(CONVERT_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise ModelError(_("The conversion did not end within {n} s.").format(n=CONVERT_TIMEOUT_S)) from None
            except BaseException:
                process.kill()
                raise
