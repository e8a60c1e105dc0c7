"""Makes a Hugging Face model directory from a GGUF, and compares it with what llama.cpp makes of the GGUF.

    python convert.py TARGET REFERENCE.json PROOF.json SOURCE.gguf...

Run as a file by ``directory.py``, perhaps by an interpreter that has torch but not this course; never imported. Whoever
starts it holds the other end of its standard input: when that closes (asked to stop, exit, ``kill -9`` of a notebook's
kernel), it ends at once, so that nobody writes into a folder that is already given up.
Several sources are the parts of one model, in order.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

# Goes up when the same GGUF gives another directory: those made before are then made anew.
VERSION = 2
LARGE_BYTES = 2 << 30

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


def join(parts: list[Path], target: Path) -> None:
    """Write a model's parts as one GGUF: transformers 5.19 reads one file, and makes up the weights it does not find.

    The first part has the model's facts, each part some of the tensors (llama.cpp's tools/gguf-split).
    """
    from gguf import GGUFReader, GGUFValueType, GGUFWriter

    readers = [GGUFReader(part) for part in parts]
    facts = readers[0].fields
    writer = GGUFWriter(target, arch=facts["general.architecture"].contents())
    for name, field in facts.items():
        # What the writer writes by itself, and what is no longer true: it aligns in its own way.
        if name in ("general.architecture", "general.alignment") or name.startswith(("GGUF.", "split.")):
            continue
        of = field.types[-1] if field.types[0] == GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), field.types[0], sub_type=of)
    tensors = [tensor for reader in readers for tensor in reader.tensors]
    for each in tensors:
        writer.add_tensor_info(each.name, each.data.shape, each.data.dtype, each.data.nbytes, each.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for each in tensors:
        writer.write_tensor_data(each.data)
    writer.close()


def convert(source: Path, target: Path) -> None:
    """Write config, bfloat16 weights and tokenizer of ``source`` into the folder ``target``."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    place = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    # Without dequantising, transformers keeps the packed weights and refuses to save them.
    config = GgufConfig(dequantize=True, gguf_file=source.name)
    model = AutoModelForCausalLM.from_pretrained(**place, quantization_config=config, dtype=torch.bfloat16)
    model.save_pretrained(target)
    tokenizer = AutoTokenizer.from_pretrained(**place)
    if adds_bos(source) and tokenizer("a").input_ids[:1] != [tokenizer.bos_token_id]:
        tokenizer.add_bos_token = True  # which transformers 5.19 does not take from the file
    tokenizer.save_pretrained(target)


def adds_bos(source: Path) -> bool:
    """Whether a text begins with BOS, by the GGUF's own word."""
    from gguf import GGUFReader

    field = GGUFReader(source).fields.get("tokenizer.ggml.add_bos_token")
    return bool(field is not None and field.contents())


def compare(target: Path, reference: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the directory, read back, makes of the reference's texts: are tokens and next tokens llama.cpp's?

    The distance is the total variation: half the sum of differences over llama.cpp's likeliest tokens, all others
    counted as one. It computes in float32, so that what differs is the conversion and the GGUF's own format; of a large
    model in bfloat16, which takes no more memory than the conversion did.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(target)
    large = sum(file.stat().st_size for file in target.glob("*.safetensors")) > LARGE_BYTES
    model = AutoModelForCausalLM.from_pretrained(target, dtype=torch.bfloat16 if large else torch.float32)
    found = []
    for entry in reference:
        tokens = tokenizer(entry["text"]).input_ids
        with torch.inference_mode():
            theirs = torch.softmax(model(torch.tensor([tokens])).logits[0, -1].double(), -1)
        ids = torch.tensor([int(token) for token in entry["logprobs"]])
        ours = torch.exp(torch.tensor(list(entry["logprobs"].values()), dtype=torch.float64))
        apart = (theirs[ids] - ours).abs().sum() + (theirs[ids].sum() - ours.sum()).abs()
        same = tokens == entry["tokens"]
        found.append({"text": entry["text"], "same_tokens": same, "distance": float(apart / 2)})
    return found


if __name__ == "__main__":
    sys.path.pop(0)  # this folder: its modules must not be taken for somebody else's
    end_with_starter()
    if lacking := missing():
        print(" ".join(lacking), file=sys.stderr)
        sys.exit(EXIT_MISSING)
    directory, asked, told, *sources = map(Path, sys.argv[1:])
    gguf = sources[0]
    if len(sources) > 1:
        gguf = directory.with_name("joined.gguf")
        join(sources, gguf)
    convert(gguf, directory)
    told.write_text(json.dumps(compare(directory, json.loads(asked.read_text(encoding="utf-8")))), encoding="utf-8")
