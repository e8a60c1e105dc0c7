"""llama.cpp's quantiser: the formats it writes, what is refused, and that nothing half-made stays."""

import sys

import pytest
from gguf import GGMLQuantizationType as Format
from gguf import GGUFReader

from courselib import models
from courselib.errors import EngineMissing, ModelError, ModelNotFound
from tests.memory.tiny_models import llama
from tests.models.small_gguf import small_gguf


def written(path):
    entries, tensors = llama(256, 96, 4, 2, 64)
    path.write_bytes(small_gguf(entries, tensors=tensors))
    return path


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Rows of 256 and of 96: the first divide into the blocks of K-quants."""
    monkeypatch.setenv("COURSELIB_CACHE", str(tmp_path / "cache"))
    return written(tmp_path / "tiny.gguf")


def formats(path):
    return {tensor.name: tensor.tensor_type for tensor in GGUFReader(path).tensors}


@pytest.mark.engine
@pytest.mark.usefixtures("llama_cpp")
def test_a_format_where_rows_divide_and_another_where_they_do_not(tiny):
    made = models.quantise(tiny, "Q4_K_S")
    kinds = formats(made)
    assert kinds["blk.1.ffn_up.weight"] == Format.Q4_K
    assert kinds["blk.1.ffn_down.weight"] == Format.Q5_0, "rows of 96 fall back"
    assert kinds["output_norm.weight"] == Format.F32
    assert made == models.quantise(tiny, "Q4_K_S")
    assert [file.name for file in made.parent.iterdir() if file.suffix == ".gguf"] == [made.name]


@pytest.mark.engine
@pytest.mark.usefixtures("llama_cpp")
def test_what_fails_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSELIB_CACHE", str(tmp_path / "cache"))
    whole = written(tmp_path / "whole.gguf")
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(ModelError) as refused:
        models.quantise(cut, "Q8_0")
    assert "cut.gguf" in refused.value.message
    assert not list(tmp_path.glob("cache/quantised/**/*.gguf"))


def test_what_is_no_format(tiny):
    with pytest.raises(ModelError, match=r"no format 'Q9'.*Q4_K_M"):
        models.quantise(tiny, "Q9")


def test_without_the_library(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineMissing, match="make native"):
        models.quantise(tiny, "Q8_0")


def test_an_unknown_model(monkeypatch):
    with pytest.raises((ModelNotFound, EngineMissing)):
        models.quantise("smollm3", "Q8_0")


def test_the_text_is_plain():
    text = models.evaluation_text()
    assert text.isascii() and 2000 < len(text) < 4000
