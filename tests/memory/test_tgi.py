"""TGI's KV cache by its own arithmetic."""

import pytest

from courselib.errors import SettingsError
from courselib.memory import GIB, MIB, Layer, Model, from_gguf, tgi
from courselib.models import gguf_header, resolve

# 24 layers of 32 KV heads, 64 wide: https://huggingface.co/HuggingFaceTB/SmolLM2-1.7B-Instruct (config.json).
SMOLLM2_17B = Model("SmolLM2 1.7B", "llama", (Layer(2048, 2048),) * 24)


def test_bytes_of_a_token():
    assert tgi.bytes_per_token(SMOLLM2_17B) == 196_608
    assert tgi.bytes_per_token(SMOLLM2_17B, kv_cache_dtype="fp8_e5m2") == 196_608 // 2
    assert tgi.bytes_per_token(SMOLLM2_17B, num_shard=4) == 196_608 // 4
    assert tgi.bytes_per_token(from_gguf(gguf_header(resolve("smollm2-135m")))) == 23_040


def test_a_window_saves_nothing():
    windowed = Model("", "", (Layer(2048, 2048, 512),) * 24)
    assert tgi.bytes_per_token(windowed) == tgi.bytes_per_token(SMOLLM2_17B)


def test_tokens_follow_from_the_free_memory():
    whole = tgi.cache_tokens(SMOLLM2_17B, 10 * GIB)
    assert whole == 9 * GIB // 196_608
    assert tgi.cache_tokens(SMOLLM2_17B, 10 * GIB, cuda_memory_fraction=0.5) == whole // 2
    assert tgi.cache_tokens(SMOLLM2_17B, 10 * MIB, cuda_memory_fraction=0.01) == 0


def test_a_long_answer_is_reserved_by_and_by():
    few, more, most = (tgi.most_requests(SMOLLM2_17B, 10 * GIB, prompt=1024, answer=n) for n in (16_384, 1024, 128))
    assert few == more < most


def test_what_is_not_known():
    for model in (Model("", "", None), Model("", "", (Layer(state=100),))):
        assert tgi.bytes_per_token(model) is None
        assert tgi.cache_tokens(model, GIB) is None
        assert tgi.most_requests(model, GIB, prompt=1, answer=1) is None
    with pytest.raises(SettingsError, match="cuda_memory_fraction is 2"):
        tgi.cache_tokens(SMOLLM2_17B, GIB, cuda_memory_fraction=2)
