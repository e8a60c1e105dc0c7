"""A Hugging Face model directory made from a GGUF, for engines that want one.

transformers does the work, in a process of its own: torch must not enter a notebook's kernel, and may live in
another environment. A directory is kept under its GGUF's SHA-256 and the converter's version, so that it is made once
whatever the file is called. It is only kept if it is proven to be the same model (``proof``); what was found is kept
beside it either way, for that version of transformers: another one may do better.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from courselib.errors import EngineMissing, ModelError
from courselib.i18n import _
from courselib.models import convert, llama_reference, proof
from courselib.models.cache import cache_folder, checksum
from courselib.models.header import gguf_header, text_model_header
from courselib.models.locks import CONVERTING, locked
from courselib.models.parts import part_names
from courselib.models.resolve import resolve
from courselib.processes.process import GuardedProcess

CONVERT_TIMEOUT_S = 1800
REFERENCE_TIMEOUT_S = 300
PROBE_TIMEOUT_S = 30
# The course's own interpreter, which has llama.cpp, for a kernel that runs on another one, as vLLM's does.
PYTHON_VARIABLE = "COURSELIB_PYTHON"


def hf_directory(model: str | os.PathLike[str], *, python: str | None = None) -> Path:
    """A directory with config, bfloat16 weights and tokenizer of ``model``, made once and kept in the cache.

    Args:
        model: as for ``resolve``.
        python: an interpreter that has torch, transformers and gguf; None takes this one.

    Returns:
        The directory; never one that is half made.

    Raises:
        ModelError: the model cannot be had, converted or stored, or the directory would be another model.
        EngineMissing: that interpreter lacks what the conversion needs.
    """
    source = resolve(model)
    text_model_header(source)
    target = cache_folder() / "directories" / f"{_checksum(_parts(source))}-{convert.VERSION}"
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(Path(f"{target}.lock"), source.name, CONVERTING):
            if not target.is_dir():
                _make(source, target, python or sys.executable)
    except OSError as error:
        raise ModelError(
            _(
                "A model directory cannot be stored in {folder}: {reason}. Set COURSELIB_CACHE to another folder."
            ).format(folder=target.parent, reason=error.strerror)
        ) from None
    return target


def _parts(source: Path) -> list[Path]:
    """All files of the model whose first is ``source``."""
    names = part_names(source.name) if gguf_header(source).parts > 1 else [source.name]
    return [source.with_name(name) for name in names]


def _checksum(parts: list[Path]) -> str:
    """The SHA-256 of the model's file; of a model in several files one that each of them decides."""
    sums = [checksum(part) for part in parts]
    return sums[0] if len(sums) == 1 else hashlib.sha256(" ".join(sums).encode()).hexdigest()


def _make(source: Path, target: Path, python: str) -> None:
    kept = target.with_name(f"{target.name}-{_transformers(python)}.proof.json")
    _check_known(kept, source)
    # Under the lock nobody else makes this one: what is left there is of a process that was killed.
    prefix = f"making-{target.name}-"
    for left_over in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(left_over, ignore_errors=True)
    click.echo(_("Making a Hugging Face directory from {file} (once)…").format(file=source.name), err=True)
    # Beside the target: a rename is only atomic within one file system.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=prefix) as folder:
        made, log, found = Path(folder) / "model", Path(folder) / "log", Path(folder) / "proof"
        reference = Path(folder) / "reference"
        llama_cpp = _reference(source, reference)
        code = _run([python, convert.__file__, *map(str, (made, reference, found, *_parts(source)))], log)
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
        if llama_cpp:
            raise ModelError(
                _("A directory made from {file} cannot be proven: llama.cpp, to compare it with, does not run it.")
                .format(file=source.name),
                details=llama_cpp,
            )  # fmt: skip
        found.replace(kept)
        _check_known(kept, source)
        made.replace(target)


def _transformers(python: str) -> str:
    """The version of transformers that an interpreter has; empty where it has none, which the converter reports."""
    code = "from importlib import metadata; print(metadata.version('transformers'))"
    try:
        told = subprocess.run(  # from its metadata: importing it takes seconds
            [python, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=PROBE_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return told.stdout.strip()


def _check_known(kept: Path, source: Path) -> None:
    """Refuse what was found to be another model, without making it again."""
    with contextlib.suppress(FileNotFoundError):
        found = json.loads(kept.read_text(encoding="utf-8"))
        proof.check(proof.Proof.read(found), source.name)


def _reference(source: Path, target: Path) -> str:
    """Write what llama.cpp makes of the proof's texts; its log if it could not; it ends with this process."""
    target.write_text("[]")
    python = os.environ.get(PYTHON_VARIABLE) or sys.executable
    command = [python, llama_reference.__file__, str(source), str(target), *proof.TEXTS]
    try:
        process = GuardedProcess(command, name="reference")
    except EngineMissing as error:
        return error.message
    try:
        code = process.returncode(REFERENCE_TIMEOUT_S)
        if code == 0:
            return ""
        ended = _("no answer within {seconds} s") if code is None else _("exit code {code}")
        return process.logs()[-2000:] or ended.format(seconds=REFERENCE_TIMEOUT_S, code=code)
    finally:
        process.stop()


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
