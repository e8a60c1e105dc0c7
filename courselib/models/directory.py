"""A Hugging Face model directory made from a GGUF, for engines that want one.

transformers does the work, in a process of its own: torch must not enter a notebook's kernel, and may live in
another environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from courselib.errors import EngineMissing, ModelError
from courselib.i18n import _
from courselib.models.cache import cache_folder, sha256
from courselib.models.resolve import resolve

CONVERT_TIMEOUT_S = 1800
PROGRAM = """
import sys, torch
from pathlib import Path
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
source, target = Path(sys.argv[1]), sys.argv[2]
place = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
# Without dequantising, transformers keeps the packed weights and refuses to save them.
config = GgufConfig(dequantize=True, gguf_file=source.name)
model = AutoModelForCausalLM.from_pretrained(**place, quantization_config=config, dtype=torch.bfloat16)
model.save_pretrained(target)
AutoTokenizer.from_pretrained(**place).save_pretrained(target)
"""


def hf_directory(model: str | os.PathLike[str], *, python: str = sys.executable) -> Path:
    """A directory with config, bfloat16 weights and tokenizer of ``model``, made once and kept in the cache.

    Args:
        model: as for ``resolve``.
        python: an interpreter that has torch, transformers and gguf.

    Raises:
        ModelError: the model cannot be had or converted.
        EngineMissing: that interpreter lacks what the conversion needs.
    """
    from filelock import FileLock

    source = resolve(model)
    target = cache_folder() / "directories" / sha256(source)
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not target.is_dir():
            with tempfile.TemporaryDirectory(dir=target.parent, prefix="making-") as folder:
                made = Path(folder) / "model"
                _convert(source, made, python)
                made.replace(target)
    return target


def _convert(source: Path, target: Path, python: str) -> None:
    command = [python, "-c", PROGRAM, str(source), str(target)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=CONVERT_TIMEOUT_S, env=environment, check=False
    )
    if done.returncode == 0:
        return
    if "ModuleNotFoundError" in done.stderr or "ImportError" in done.stderr:
        raise EngineMissing(
            _("Making a Hugging Face directory needs torch, transformers and gguf: pip install 'courselib[convert]'"),
            details=done.stderr[-2000:],
        )
    raise ModelError(
        _("transformers could not convert {file}; it may not know this architecture.").format(file=source.name),
        details=done.stderr[-2000:],
    )
