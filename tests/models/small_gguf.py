"""Small GGUF files, written by hand: what the reader, the hub and the engine's memory are tried on."""

import math
import struct

KINDS = {int: (4, "<I"), float: (6, "<f"), bool: (7, "<?")}
ARRAYS = {int: (5, "i"), float: (6, "f"), bool: (7, "?")}
F32 = 0
ALIGNMENT = 32
VALUE = 0x3F800001  # a float of 1.0000001


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key, value):
    """A key with an int, float, bool or str, or a list of one of these."""
    if isinstance(value, list):
        if value and isinstance(value[0], str):
            inner = struct.pack("<IQ", 8, len(value)) + b"".join(text(item) for item in value)
        else:
            number, code = ARRAYS[type(value[0]) if value else int]
            inner = struct.pack("<IQ", number, len(value)) + struct.pack(f"<{len(value)}{code}", *value)
        return text(key) + struct.pack("<I", 9) + inner
    if isinstance(value, str):
        return text(key) + struct.pack("<I", 8) + text(value)
    number, code = KINDS[type(value)]
    return text(key) + struct.pack("<I", number) + struct.pack(code, value)


FACTS = {
    "general.architecture": "llama",
    "general.name": "Small",
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["a", "b", "ç"],
}


def small_gguf(facts=None, *, floats=64, kind=F32, tensors=None):
    """A whole GGUF.

    Args:
        facts: its entries; None takes ``FACTS``.
        floats: values of its one tensor, which are not all the same bytes.
        kind: number of the tensors' type; their bytes are those of F32 all the same.
        tensors: other tensors in place of that one, each name with its dimensions.
    """
    facts = FACTS if facts is None else facts
    tensors = {"weights": (floats,)} if tensors is None else tensors
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts))
    head += b"".join(entry(key, value) for key, value in facts.items())
    offset, data = 0, []
    for name, shape in tensors.items():
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
        content = struct.pack("<I", VALUE) * math.prod(shape)
        data.append(content if len(tensors) == 1 else content + bytes(-len(content) % ALIGNMENT))
        offset += len(data[-1])
    head += bytes(-len(head) % ALIGNMENT)
    return head + b"".join(data)


def split_gguf(folder, name="model", facts=None, *, count=2, tensors_a_part=1):
    """A model in several files, as llama.cpp's gguf-split writes it; the paths of its parts."""
    facts = FACTS if facts is None else facts
    paths = []
    for number in range(count):
        part = {"split.no": number, "split.count": count, "split.tensors.count": count * tensors_a_part}
        tensors = {f"tensor.{number}.{index}": (64,) for index in range(tensors_a_part)}
        path = folder / f"{name}-{number + 1:05d}-of-{count:05d}.gguf"
        path.write_bytes(small_gguf({**(facts if number == 0 else {}), **part}, tensors=tensors))
        paths.append(path)
    return paths
