"""Makes a Hugging Face model directory from a GGUF.

    python convert.py SOURCE.gguf TARGET

Run as a file by ``directory.py``, perhaps by an interpreter that has torch but not this course; never imported. Whoever
starts it holds the other end of its standard input: when that closes (asked to stop, exit, ``kill -9`` of a notebook's
kernel), it ends at once, so that nobody writes into a folder that is already given up.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from pathlib import Path

NEEDED = ("torch", "transformers", "gguf", "accelerate")
EXIT_MISSING = 3


def end_with_starter() -> None:
    """Leave as soon as standard input closes."""

    def watch() -> None:
        while os.read(0, 1):  # unbuffered: a lock held by this thread would abort the interpreter's end
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def missing() -> list[str]:
    """Which of the packages needed this interpreter lacks."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def convert(source: Path, target: Path) -> None:
    """Write config, bfloat16 weights and tokenizer of ``source`` into the folder ``target``."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    place = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    # Without dequantising, transformers keeps the packed weights and refuses to save them.
    config = GgufConfig(dequantize=True, gguf_file=source.name)
    model = AutoModelForCausalLM.from_pretrained(**place, quantization_config=config, dtype=torch.bfloat16)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(**place).save_pretrained(target)


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its modules must not be taken for somebody else's
    end_with_starter()
    if lacking := missing():
        print(" ".join(lacking), file=sys.stderr)
        sys.exit(EXIT_MISSING)
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
