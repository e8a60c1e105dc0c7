"""A GGUF's weights in another format: the values, the metadata, what is refused, and that the engine loads it."""

from __future__ import annotations

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, quants

import courselib
from courselib.errors import ModelError
from courselib.models import gguf_header, requantise


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A model of two tensors, with metadata of several types."""
    monkeypatch.setenv("COURSELIB_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "small.Q8_0.gguf"
    values = np.random.default_rng(1).normal(size=(4, 64)).astype(np.float32)
    writer = GGUFWriter(path, "llama")
    writer.add_name("Small")
    writer.add_context_length(128)
    writer.add_token_list(["a", "ö", "貓"])
    writer.add_token_scores([0.5, 1.5, -2.0])
    writer.add_add_bos_token(False)
    writer.add_file_type(7)
    for name, kind in (("matrix", "Q8_0"), ("norm.weight", "F32")):
        kind = GGMLQuantizationType[kind]
        data = values if name == "matrix" else values[0]
        writer.add_tensor(name, quants.quantize(data, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tensors(path):
    return {tensor.name: tensor for tensor in GGUFReader(path).tensors}


def values(tensor):
    return quants.dequantize(tensor.data, tensor.tensor_type)


@pytest.mark.parametrize("format", ["F32", "F16", "Q8_0", "Q4_0"])
def test_matrices_have_the_format_and_vectors_are_kept(small, format):
    before, after = tensors(small), tensors(requantise(small, format))
    assert {name: tensor.tensor_type.name for name, tensor in after.items()} == {
        "matrix": format,
        "norm.weight": "F32",
    }
    assert np.array_equal(values(before["norm.weight"]), values(after["norm.weight"]))
    # By definition, a step is 1/2048 of a value in F16, 1/127 of a block's largest value in Q8_0, 1/8 in Q4_0.
    largest = np.abs(values(before["matrix"])).max()
    step = {"F32": 0, "F16": largest / 2048, "Q8_0": largest / 127, "Q4_0": largest / 8}[format]
    assert np.abs(values(after["matrix"]) - values(before["matrix"])).max() <= step


def test_metadata_are_kept_but_for_the_formats_name(small):
    before, after = GGUFReader(small).fields, GGUFReader(requantise(small, "Q4_0")).fields
    own = {"general.file_type", "general.quantization_version"}
    kept = [name for name in before if not name.startswith("GGUF.") and name not in own]
    assert {name: after[name].contents() for name in kept} == {name: before[name].contents() for name in kept}
    assert gguf_header(requantise(small, "Q4_0")).file_type == "Q4_0"


def test_it_is_made_once_and_named_by_model_and_format(small):
    path = requantise(small, "F16")
    made = path.stat().st_mtime_ns
    assert path.name == "small.F16.gguf"
    assert requantise(small, "F16").stat().st_mtime_ns == made
    assert not list(path.parent.glob("making-*"))


def test_an_unknown_format_is_refused_with_those_there_are(small):
    with pytest.raises(ModelError, match="no format 'Q4_K_M' here; there are: F32, F16"):
        requantise(small, "Q4_K_M")


@pytest.mark.engine
def test_the_engine_answers_with_another_format():
    with courselib.launch("llama.cpp", model=requantise("smollm2-135m", "Q8_0"), context=256) as server:
        reply = server.openai().completions.create(
            model=server.model, prompt="The capital of France is", max_tokens=1, temperature=0
        )
    assert reply.choices[0].text == " Paris"
