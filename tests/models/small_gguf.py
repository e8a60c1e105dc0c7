"""Small GGUF files, written by hand: what the reader and the hub are tried on."""

import struct

KINDS = {int: (4, "<I"), float: (6, "<f"), bool: (7, "<?")}
F32 = 0


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key, value):
    """A key with an int, float, bool or str, or a list of int or of str."""
    if isinstance(value, list):
        if value and isinstance(value[0], str):
            inner = struct.pack("<IQ", 8, len(value)) + b"".join(text(item) for item in value)
        else:
            inner = struct.pack("<IQ", 5, len(value)) + struct.pack(f"<{len(value)}i", *value)
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


def small_gguf(facts=None, *, floats=64):
    """A whole GGUF with one F32 tensor of ``floats`` values, which are not all the same."""
    facts = FACTS if facts is None else facts
    tensor = text("weights") + struct.pack("<IQIQ", 1, floats, F32, 0)
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, len(facts))
    head += b"".join(entry(key, value) for key, value in facts.items()) + tensor
    head += bytes(-len(head) % 32)
    return head + struct.pack("<I", 0x3F800001) * floats
