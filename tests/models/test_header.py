"""The GGUF header: right facts, and no bytes that hang it or take memory."""

import itertools
import json
import struct
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from courselib.errors import ModelCorrupt, ModelNotFound
from courselib.models import GgufHeader, gguf_header
from courselib.models.gguf_tables import BLOCKS, FILE_TYPES
from tests.models.small_gguf import FACTS, entry, small_gguf, split_gguf, text

MIB = 1 << 20
fuzz = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
    # The package may be older than the engine.
    known = {str(number): name for number, name in FILE_TYPES.items() if str(number) in theirs["types"]}
    assert len(known) > len(FILE_TYPES) - 4
    assert {number: name.split("_", 1)[1] for number, name in theirs["types"].items() if number in known} == known
    blocks = {number: tuple(size) for number, size in theirs["blocks"].items()}
    assert {number: blocks.get(str(number), size) for number, size in BLOCKS.items()} == BLOCKS


def test_no_object_for_each_string_of_the_vocabulary(bundled_model, tmp_path):
    copy = tmp_path / "copy.gguf"
    copy.symlink_to(bundled_model)  # another path: not remembered
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        header = gguf_header(copy)
    finally:
        sys.setprofile(None)
    # 20 ms; the gguf package makes an object of each of the 49,152 and takes 2.2 s.
    assert calls < header.vocabulary / 10


def test_layers_that_differ_count_with_the_largest(tmp_path):
    header = read(tmp_path, small_gguf({**FACTS, "llama.attention.head_count_kv": [1, 4, 2]}))
    assert header.kv_heads == 4
    assert header.by_layer("attention.head_count_kv") is None  # three numbers for two layers
    header = read(tmp_path, small_gguf({**FACTS, "llama.attention.head_count_kv": [1, 4]}))
    assert header.by_layer("attention.head_count_kv") == (1, 4)
    assert header.by_layer("attention.head_count") == (4, 4)


def test_what_a_file_does_not_say(tmp_path):
    header = read(tmp_path, small_gguf({"general.architecture": "mamba", "mamba.vocab_size": 7}))
    assert header == GgufHeader("", "mamba", 0, 0, 0, 0, 0, 0, 0, 0, 7, 1, 256, "")
    assert (header.number("block_count"), header.by_layer("block_count")) == (0, ())


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


NOT_GGUF = {
    "a pointer of Git LFS": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 9\n",
        "git lfs pull",
    ),
    "a web page": (b"\n<!DOCTYPE html><html><body>SmolLM2</body></html>", r"web page.*/resolve/ in place of /blob/"),
    "ggjt, as it lies on the disk": (b"tjgg\3\0\0\0" + bytes(64), "ggjt, a format older than GGUF"),
    "ggml": (b"lmgg" + bytes(64), "ggml, a format older than GGUF"),
    "anything else": (b"PK\3\4 a zip", "does not begin with GGUF"),
    "big-endian": (b"GGUF" + struct.pack(">IQQ", 3, 0, 1) + bytes(64), "for big-endian machines"),
    "version 1": (b"GGUF" + struct.pack("<III", 1, 0, 0) + bytes(64), "version 1, which llama.cpp no longer reads"),
    "a later version": (b"GGUF" + struct.pack("<IQQ", 4, 0, 0) + bytes(64), "version 4, which this course cannot read"),
}


@pytest.mark.parametrize("what", NOT_GGUF)
def test_what_is_no_gguf_says_what_it_is(what, tmp_path):
    content, words = NOT_GGUF[what]
    with pytest.raises(ModelCorrupt, match=words) as caught:
        read(tmp_path, content)
    assert "download the file again" not in str(caught.value) or what == "a pointer of Git LFS"


NO_MODEL = {
    "imatrix": ({"general.type": "imatrix"}, "importance matrix.*the model itself"),
    "mmproj": ({**FACTS, "general.architecture": "clip", "general.type": "mmproj"}, "projector.*the model's own file"),
    "an older projector": ({**FACTS, "general.architecture": "clip"}, "projector"),
    "adapter": ({**FACTS, "general.type": "adapter"}, "LoRA adapter.*the model itself"),
    "another type": ({**FACTS, "general.type": "vocoder"}, r"no language model \(general.type: vocoder\)"),
    "no architecture": ({"general.name": "an image model"}, "names no architecture"),
}


@pytest.mark.parametrize("what", NO_MODEL)
def test_a_gguf_that_is_no_model_says_what_it_is(what, tmp_path):
    facts, words = NO_MODEL[what]
    with pytest.raises(ModelCorrupt, match=words):
        read(tmp_path, small_gguf(facts))


def test_what_a_model_is_for(tmp_path):
    plain = read(tmp_path, small_gguf({**FACTS, "general.type": "model"}))
    assert (plain.writes_text, plain.pooling, plain.chat_template) == (True, "", False)
    assert read(tmp_path, small_gguf({**FACTS, "tokenizer.chat_template": "{{ messages }}"})).chat_template
    for number, pooling, writes in ((0, "none", True), (1, "mean", False), (3, "last", False), (4, "rank", False)):
        header = read(tmp_path, small_gguf({**FACTS, "llama.pooling_type": number}))
        assert (header.pooling, header.writes_text) == (pooling, writes)
    encoder = read(tmp_path, small_gguf({"general.architecture": "bert", "bert.block_count": 2}))
    assert not encoder.writes_text


@pytest.mark.parametrize("kind", [31, 36, 139])
def test_a_type_of_tensor_that_is_not_known(kind, tmp_path):
    whole = small_gguf(kind=kind, tensors={"first": (64,), "last": (64,)})
    header = read(tmp_path, whole)
    assert (header.weights_bytes, header.tensors) == (None, 2)
    with pytest.raises(ModelCorrupt, match="cut short"):
        read(tmp_path, whole[:-256])  # the last tensor's offset is beyond the end


def test_all_parts_count(tmp_path):
    first, second, third = split_gguf(tmp_path, count=3, tensors_a_part=2)
    for part in (first, second, third):
        header = gguf_header(part)
        assert (header.parts, header.tensors, header.weights_bytes) == (3, 6, 6 * 256)
        assert header.layers == 2  # only the first part says so


def test_a_missing_part_is_named(tmp_path):
    first, second = split_gguf(tmp_path)
    second.unlink()
    words = rf"model-00002-of-00002\.gguf, part 2 of 2 of this model, is missing in {tmp_path}"
    with pytest.raises(ModelNotFound, match=words):
        gguf_header(first)


def test_a_part_that_is_cut_short(tmp_path):
    first, second = split_gguf(tmp_path)
    second.write_bytes(second.read_bytes()[:-1])
    with pytest.raises(ModelCorrupt, match=r"model-00002-of-00002\.gguf is cut short"):
        gguf_header(first)


def test_a_part_under_another_name(tmp_path):
    first, _second = split_gguf(tmp_path)
    first.rename(tmp_path / "renamed.gguf")
    with pytest.raises(ModelCorrupt, match=r"one of 2 parts.*end in -00001-of-00002\.gguf"):
        gguf_header(tmp_path / "renamed.gguf")
    # A whole model may be called so.
    whole = tmp_path / "whole-00001-of-00002.gguf"
    whole.write_bytes(small_gguf())
    assert gguf_header(whole).parts == 1


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
    "an alignment that is an array": small_gguf({**FACTS, "general.alignment": [32]}),
    "parts without end": small_gguf({**FACTS, "split.count": 2**31 - 1}),
    "an alignment that is no number": small_gguf({**FACTS, "general.alignment": float("nan")}),
    "an infinite alignment": small_gguf({**FACTS, "general.alignment": float("inf")}),
}


@pytest.mark.timeout(60)  # what is taken at its word would take years
@pytest.mark.parametrize("what", HOSTILE)
def test_hostile(what, tmp_path):
    with pytest.raises(ModelCorrupt):
        read(tmp_path, HOSTILE[what])


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
