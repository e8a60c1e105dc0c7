"""What users have published of models that are too large for the tests, against the formulas."""

import functools

import pytest

from courselib.memory import GIB, MIB, from_config, from_gguf, llamacpp, vllm
from tests.memory import headers

QWEN36_27B = {
    "layers": 64, "embedding": 5120, "heads": 24, "attention.head_count_kv": 4, "attention.key_length": 256,
    "attention.value_length": 256, "full_attention_interval": 4, "ssm.conv_kernel": 4, "ssm.inner_size": 6144,
    "ssm.state_size": 128, "ssm.group_count": 16,
}  # fmt: skip


@pytest.fixture
def gguf(tmp_path):
    """A GGUF's shape from its entries."""
    return lambda architecture, **entries: from_gguf(headers.header(tmp_path, architecture, **entries))


def test_qwen36_27b_on_llama_cpp(gguf):
    # Users' logs: 16 of 64 layers in the cache; 262,144 cells of 16-bit numbers are 16,384 MiB. The state of two
    # sequences is 299.25 MiB (R 11.25, S 288), of three 448.88: https://github.com/ggml-org/llama.cpp/pull/23792
    model = gguf("qwen35", **QWEN36_27B)
    assert llamacpp.kv_cache(model, context=262_144) == 16_384 * MIB
    assert llamacpp.kv_cache(model, context=262_144, cache_type_k="q8_0", cache_type_v="q8_0") == 8704 * MIB
    of = functools.partial(llamacpp.recurrent_state, model)
    assert (of(parallel=2), of(parallel=4)) == (299.25 * MIB, 598.5 * MIB)
    assert round(of(parallel=3) / MIB, 2) == 448.88
    # A layer more, which predicts ahead, keeps nothing.
    more = gguf("qwen35", **{**QWEN36_27B, "layers": 65}, nextn_predict_layers=1)
    assert llamacpp.recurrent_state(more, parallel=3) == of(parallel=3)


def test_granite_docling_on_llama_cpp(gguf):
    # "360.00 MiB ( 16384 cells, 30 layers, 1/1 seqs)": https://github.com/ggml-org/llama.cpp/issues/16678
    model = gguf("llama", layers=30, embedding=576, heads=9, **{"attention.head_count_kv": 3})
    assert llamacpp.kv_cache(model, context=16_384) == 360 * MIB


def test_gpt_oss_120b_on_vllm():
    # 5.38 GiB of bfloat16 are 78,384 tokens, in vLLM of 2025: all 36 layers at 2,048 bytes, whatever their windows.
    config = {
        "model_type": "gpt_oss", "num_hidden_layers": 36, "num_attention_heads": 64, "num_key_value_heads": 8,
        "head_dim": 64, "sliding_window": 128, "layer_types": ["sliding_attention", "full_attention"] * 18,
        "max_position_embeddings": 131_072, "torch_dtype": "bfloat16",
    }  # fmt: skip
    model = from_config(config)
    assert [group.layers for group in vllm.groups(model)] == [18, 18]
    low, high = (vllm.cache(model, int(gib * GIB)).whole_tokens for gib in (5.375, 5.385))
    assert low <= 78_384 <= high
    exact = 78_384 * 36 * 2048
    assert round(exact / GIB, 2) == 5.38
    assert vllm.cache(model, exact).whole_tokens == 78_384


def test_llama_31_8b_on_vllm():
    # RTX 3090: 3.81 GiB were 1,952 blocks, 2.89 GiB were 1,478 or 23,648 tokens:
    # https://github.com/vllm-project/vllm/issues/10517
    config = {
        "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096,
        "max_position_embeddings": 131_072, "torch_dtype": "bfloat16",
    }  # fmt: skip
    model = from_config(config)
    for gib, blocks in ((3.81, 1952), (2.89, 1478)):
        low, high = (vllm.cache(model, int((gib + off) * GIB)).blocks for off in (-0.005, 0.005))
        assert low <= blocks <= high and high - low < 8
    assert vllm.cache(model, 1478 * 2 * MIB).whole_tokens == 23_648


def test_deepseek_v3(gguf):
    # 70,272 bytes a token in 16 bits, of 61 layers: https://arxiv.org/abs/2505.09343
    entries = {"attention.head_count_kv": 1, "attention.key_length": 576, "attention.value_length": 512}
    lengths = {"attention.key_length_mla": 192, "attention.value_length_mla": 128}
    model = gguf("deepseek2", layers=61, heads=128, **entries, **lengths)
    assert llamacpp.kv_cache(model, context=4096) == 4096 * 70_272
    # 10.72 GiB at 160k tokens, seen on llama.cpp: https://provide.ai/the-exact-kv-cache-usage-of-deepseek-v4/
    assert round(llamacpp.kv_cache(model, context=160 * 1024) / GIB, 2) == 10.72
    config = {
        "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128, "hidden_size": 7168,
        "kv_lora_rank": 512, "qk_rope_head_dim": 64, "torch_dtype": "bfloat16",
    }  # fmt: skip
    assert vllm.cache(from_config(config), GIB).block_bytes == 16 * 70_272
