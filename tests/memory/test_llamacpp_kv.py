"""llama.cpp's KV cache and states by formula: as the engine allocates, and no figure where none is sure."""

import functools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from courselib.memory import MIB, from_gguf, llamacpp
from courselib.memory.gguf_layers import DENSE, WINDOWS, WITH_STATE, layers
from tests.memory import headers


@pytest.fixture
def header(tmp_path):
    return functools.partial(headers.header, tmp_path)


def cache(header, **chosen):
    """KV cache and states together, as the engine's server reports them."""
    model = from_gguf(header)
    return None if model.layers is None else llamacpp.cache_bytes(model, llamacpp.Settings(**chosen))


def test_layers_without_kv_heads_have_a_state(header):
    # LFM2 1.2B: the engine allocates 384 MiB for 6 of 16 layers, and two columns of 2,048 numbers for the other 10.
    heads = [0, 0, 8, 0, 0, 8, 0, 0, 8, 0, 8, 0, 8, 0, 8, 0]
    lfm2 = header("lfm2", layers=16, **{"attention.head_count_kv": heads, "shortconv.l_cache": 3})
    assert lfm2.by_layer("attention.head_count_kv") == tuple(heads)
    assert cache(lfm2, context=32768) == 384 * MIB + 10 * 2 * 2048 * 4


def test_sliding_windows(header):
    # Gemma 3 4B: 5 of 34 layers keep the context, 29 keep 1,024 + 512 tokens.
    shape = {"attention.head_count_kv": 4, "attention.key_length": 256, "attention.value_length": 256}
    gemma = header("gemma3", layers=34, embedding=2560, heads=8, **shape, **{"attention.sliding_window": 1024})
    assert cache(gemma, context=131072) == (5 * 131072 + 29 * 1536) * 2 * 4 * 256 * 2
    # A dense model of that shape takes 17 GiB.
    assert cache(header("llama", layers=34, heads=8, **shape), context=131072) == 17 * 2**30
    # A context shorter than the window.
    assert cache(gemma, context=512) == 34 * 512 * 2 * 4 * 256 * 2


def test_windows_that_the_file_lists(header):
    entries = {"attention.head_count_kv": 1, "attention.key_length": 64, "attention.value_length": 64}
    listed = {"attention.sliding_window": 512, "attention.sliding_window_pattern": [True, False, True]}
    gemma = header("gemma2", layers=3, **entries, **listed)
    assert [layer.window for layer in layers(gemma)] == [512, 0, 512]
    without = header("gemma4", layers=3, **entries, **{"attention.sliding_window": 512})
    assert layers(without) is None  # only the file could say which layers
    shared = {"attention.key_length_swa": 32, "attention.value_length_swa": 32, "attention.shared_kv_layers": 1}
    assert [layer.keys for layer in layers(header("gemma4", layers=3, **entries, **listed, **shared))] == [32, 64, 0]


def test_a_window_that_llama_cpp_does_not_use(header):
    heads = {"attention.head_count_kv": 8}
    windows = {"attention.sliding_window": 512}
    for architecture in ("phi3", "llama"):
        whole = cache(header(architecture, layers=4, **heads), context=4096)
        assert cache(header(architecture, layers=4, **heads, **windows), context=4096) == whole


def test_latent_attention(header):
    # DeepSeek-V3's own report: 70,272 bytes a token in 16 bits, 61 layers of 512 + 64 numbers.
    latent = {"attention.head_count_kv": 1, "attention.key_length": 576, "attention.value_length": 512}
    lengths = {"attention.key_length_mla": 192, "attention.value_length_mla": 128}
    assert cache(header("deepseek2", layers=61, heads=128, **latent, **lengths), context=4096) == 4096 * 70_272
    # A file of before this was built in keeps 128 whole keys and values.
    old = {"attention.head_count_kv": 128, "attention.key_length": 192, "attention.value_length": 128}
    assert cache(header("deepseek2", layers=61, heads=128, **old), context=256) == 256 * 61 * 128 * (192 + 128) * 2


def test_recurrent_states(header):
    # Mamba 130M: 24 layers of 3 x 1,536 and 16 x 1,536 numbers, whatever the context.
    ssm = {"ssm.conv_kernel": 4, "ssm.inner_size": 1536, "ssm.state_size": 16}
    mamba = header("mamba", layers=24, heads=0, **ssm)
    assert cache(mamba, context=256) == cache(mamba, context=65536) == 24 * 19 * 1536 * 4
    assert cache(mamba, context=1024, parallel=4) == 4 * 24 * 19 * 1536 * 4
    # One layer in four of Qwen3-Next has a cache.
    more = {"attention.head_count_kv": 2, "attention.key_length": 256, "attention.value_length": 256}
    kept = layers(header("qwen3next", layers=8, **more, **ssm, **{"ssm.group_count": 16}))
    assert [bool(layer.keys) for layer in kept] == [False, False, False, True] * 2
    assert [bool(layer.state) for layer in kept] == [True, True, True, False] * 2


def test_layers_of_several_widths(header):
    kept = header("openelm", layers=3, embedding=128, heads=4, **{"attention.head_count_kv": [1, 4, 2]})
    assert kept.kv_heads == 4
    assert cache(kept, context=256) == 256 * 7 * (32 + 32) * 2
    # Without FlashAttention each layer's values take the widest's place.
    assert cache(kept, context=256, flash_attn="off") == 256 * (7 + 12) * 32 * 2


def test_layers_that_predict_ahead_keep_nothing(header):
    heads = {"attention.head_count_kv": 8}
    with_one = header("glm4moe", layers=5, **heads, nextn_predict_layers=1)
    assert cache(with_one, context=1024) == cache(header("glm4moe", layers=4, **heads), context=1024)


def test_no_figure_where_the_layout_is_not_known(header):
    for architecture in ("deepseek4", "nosuchmodel", "minimax-m3"):
        assert cache(header(architecture, layers=4, **{"attention.head_count_kv": 8})) is None
    assert cache(header("lfm2", layers=3, **{"attention.head_count_kv": [0, 8]})) is None  # too short a list
    assert cache(header("lfm2", layers=2, **{"attention.head_count_kv": [0, 8]})) is None  # a state of unknown size
    assert cache(header("llama", layers=2**31 - 1)) is None
    assert not DENSE & WITH_STATE


KEYS = (
    "block_count", "attention.head_count", "attention.head_count_kv", "attention.key_length", "feed_forward_length",
    "attention.key_length_mla", "attention.sliding_window", "attention.sliding_window_pattern", "nextn_predict_layers",
    "attention.recurrent_layers", "full_attention_interval", "attention.shared_kv_layers", "ssm.conv_kernel",
    "ssm.inner_size", "ssm.state_size", "shortconv.l_cache", "wkv.head_size", "token_shift_count",
)  # fmt: skip
whole = st.one_of(st.integers(0, 40), st.sampled_from([2**31 - 1, 2**32 - 1]))
several = st.lists(st.one_of(st.integers(-3, 40), st.sampled_from([2**31 - 1, -(2**31)])), max_size=4)
fuzz = settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@fuzz
@given(
    architecture=st.sampled_from(sorted(WINDOWS.keys() | WITH_STATE | {"llama", "deepseek2"})),
    entries=st.dictionaries(st.sampled_from(KEYS), st.one_of(whole, several)),
)
def test_whatever_a_file_states_gives_a_figure_or_none(tmp_path, architecture, entries):
    stated = headers.bare_header(tmp_path, architecture, entries)
    for flash_attn in ("auto", "off"):
        assert isinstance(cache(stated, flash_attn=flash_attn), int | None)
        assert llamacpp.estimate(from_gguf(stated), flash_attn=flash_attn).as_table()


def test_every_family_has_one_rule():
    assert not DENSE & WINDOWS.keys()
