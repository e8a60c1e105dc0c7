"""The GGUF header: right facts, and no bytes that hang it or take memory."""

import itertools
import json
import struct
import subprocess
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from courselib.errors import ModelCorrupt, ModelNotFound
from courselib.models import GgufHeader, gguf_header
from courselib.models.header import BLOCKS, FILE_TYPES
from tests.models.small_gguf import FACTS, entry, small_gguf, text

MIB = 1 << 20
fuzz = settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.function_scoped_fixture])
numbers = itertools.count()


def read(folder, data):
    """The header of a file of that content; each has a name of its own, so that none is remembered."""
    path = folder / f"{next(numbers)}.gguf"
    path.write_bytes(data)
    try:
        return gguf_header(path)
    finally:
        path.unlink()


def test_bundled_model_is_what_the_engine_logs(bundled_model):
    # llama.cpp's own log of this file at -lv 4: n_layer, n_embd, n_head, n_head_kv, n_ff, n_ctx_train, n_vocab, tensors
    header = gguf_header(bundled_model)
    assert (header.layers, header.embedding, header.heads, header.kv_heads) == (30, 576, 9, 3)
    assert (header.feed_forward, header.context_length, header.vocabulary, header.tensors) == (1536, 8192, 49152, 272)
    assert (header.key_length, header.value_length, header.architecture) == (64, 64, "llama")
    assert header.file_type == "Q4_1"
    assert 0 < bundled_model.stat().st_size - header.weights_bytes < 4 * MIB  # the rest is the vocabulary


@pytest.mark.slow
def test_agrees_with_the_gguf_package(bundled_model, convert_python):
    code = """
import gguf, json, sys
reader = gguf.GGUFReader(sys.argv[1])
facts = {k: f.contents() for k, f in reader.fields.items() if not k.startswith("tokenizer")}
print(json.dumps({
    "facts": facts, "vocabulary": len(reader.fields["tokenizer.ggml.tokens"].data),
    "tensors": len(reader.tensors), "weights": sum(int(t.n_bytes) for t in reader.tensors),
    "blocks": {int(k): v for k, v in gguf.GGML_QUANT_SIZES.items()},
    "types": {int(t): t.name for t in gguf.LlamaFileType},
}))
"""
    done = subprocess.run([convert_python, "-c", code, str(bundled_model)], capture_output=True, text=True, check=True)
    theirs, header = json.loads(done.stdout), gguf_header(bundled_model)
    facts = theirs["facts"]
    assert header.name == facts["general.name"]
    assert header.layers == facts["llama.block_count"]
    assert header.kv_heads == facts["llama.attention.head_count_kv"]
    assert header.feed_forward == facts["llama.feed_forward_length"]
    assert header.context_length == facts["llama.context_length"]
    assert (header.vocabulary, header.tensors) == (theirs["vocabulary"], theirs["tensors"])
    assert header.weights_bytes == theirs["weights"]
    assert FILE_TYPES.items() >= {(3, "Q4_1")}
    for number, name in FILE_TYPES.items():
        assert theirs["types"][str(number)].split("_", 1)[1] == name
    for number, size in BLOCKS.items():
        assert tuple(theirs["blocks"][str(number)]) == size


def test_takes_a_small_part_of_a_launch(bundled_model, tmp_path):
    copy = tmp_path / "copy.gguf"
    copy.symlink_to(bundled_model)  # another path: not remembered
    began = time.perf_counter()
    gguf_header(copy)
    assert time.perf_counter() - began < 0.5  # 0.02 s when nothing else runs; the gguf package takes 2.2 s


def test_layers_that_differ_count_with_the_largest(tmp_path):
    header = read(tmp_path, small_gguf({**FACTS, "llama.attention.head_count_kv": [1, 4, 2]}))
    assert header.kv_heads == 4


def test_what_a_file_does_not_say(tmp_path):
    header = read(tmp_path, small_gguf({"general.architecture": "mamba", "mamba.vocab_size": 7}))
    assert header == GgufHeader("", "mamba", 0, 0, 0, 0, 0, 0, 0, 0, 7, 1, 256, "")


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(small_gguf())
    assert gguf_header(path).layers == 2
    path.write_bytes(small_gguf({**FACTS, "llama.block_count": 30, "more": "x"}))
    assert gguf_header(path).layers == 30


def test_missing_file(tmp_path):
    with pytest.raises(ModelNotFound, match=r"none\.gguf cannot be read"):
        gguf_header(tmp_path / "none.gguf")


def test_every_truncation_is_noticed(tmp_path):
    whole = small_gguf()
    assert read(tmp_path, whole).tensors == 1
    for length in range(len(whole)):
        with pytest.raises(ModelCorrupt):
            read(tmp_path, whole[:length])


def _one_tensor(dimensions, tail):
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + entry("general.architecture", "llama")
    return head + text("t") + struct.pack("<I", dimensions) + tail


HOSTILE = {
    "dimensions without end": _one_tensor(0xFFFFFFFF, b"\xff" * 4 * MIB),
    "a tensor of 2**128 values": _one_tensor(2, b"\xff" * 16 + struct.pack("<IQ", 0, 0)),
    "entries without end": b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60) + bytes(MIB),
    "tensors without end": b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0) + bytes(MIB),
    "a string of 2**63 bytes": b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**63) + bytes(64),
    "an array of 2**62 numbers": b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 10, 2**62),
    "an array of 2**62 strings": b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 8, 2**62),
    "arrays in arrays": b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 9, 1) * 10**5,
    "a name that is a number where a number belongs": small_gguf({**FACTS, "llama.block_count": "many"}),
    "an alignment that is no number": small_gguf({**FACTS, "general.alignment": float("nan")}),
    "an infinite alignment": small_gguf({**FACTS, "general.alignment": float("inf")}),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile(what, tmp_path):
    began = time.perf_counter()
    with pytest.raises(ModelCorrupt):
        read(tmp_path, HOSTILE[what])
    assert time.perf_counter() - began < 2


def survives(folder, data):
    """Whatever the bytes: a header or ModelCorrupt, and little memory."""
    tracemalloc.start()
    try:
        assert isinstance(read(folder, data), GgufHeader)
    except ModelCorrupt:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2 * MIB + 20 * len(data)


@fuzz
@given(counts=st.tuples(*[st.integers(0, 2**64 - 1)] * 2), tail=st.binary(max_size=600))
def test_random_bytes(tmp_path, counts, tail):
    survives(tmp_path, b"GGUF" + struct.pack("<IQQ", 3, *counts) + tail)


@fuzz
@given(data=st.data())
def test_changed_bytes(tmp_path, data):
    changed = bytearray(small_gguf())
    for _change in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(4, len(changed) - 9))
        new = data.draw(st.binary(min_size=1, max_size=8))
        changed[at : at + len(new)] = new
    survives(tmp_path, bytes(changed[: data.draw(st.integers(0, len(changed)))]))
