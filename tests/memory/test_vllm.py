"""vLLM's blocks by formula: as it reports them, for layers all alike and for windows, and from any config."""

from dataclasses import replace

import pytest

from courselib.memory import GIB, MIB, Layer, Model, fit, from_config, from_gguf, known_model, vllm
from courselib.models import gguf_header, resolve
from tests.engines.vllm.machines import SMOLLM2

ALIKE = from_config(SMOLLM2)
WINDOWED = Model("windowed", "", tuple(Layer(256, 256, 0 if n % 6 == 5 else 512) for n in range(18)), dtype="float32")


@pytest.mark.parametrize(("memory", "block", "blocks"), [(GIB, 128, 364), (GIB, 32, 1456), (256 * MIB, 128, 91)])
def test_blocks_that_vllm_reported_for_smollm2(memory, block, blocks):
    found = vllm.cache(ALIKE, memory, block_size=block, max_model_len=2048)
    assert (found.blocks, found.tokens, found.whole_tokens) == (blocks, blocks * block, blocks * block)


def test_a_quantised_cache_has_twice_the_blocks():
    assert vllm.cache(ALIKE, 1024 * MIB, block_size=128, dtype="fp8").blocks == 728


def test_blocks_that_vllm_reported_for_gemma():
    # Gemma 3 270M in float32 on vLLM 0.32's CPU build: blocks, tokens, requests of the greatest length.
    one = vllm.cache(WINDOWED, 128 * MIB, dtype="float32", max_model_len=2048, block_size=32, steps_in_flight=1)
    assert (one.blocks, one.tokens, one.concurrency) == (682, 3590, pytest.approx(1.7532133676092545))
    asked = {
        "dtype": "float32",
        "max_model_len": 4096,
        "block_size": 64,
        "max_num_batched_tokens": 512,
        "steps_in_flight": 1,
    }
    two = vllm.cache(WINDOWED, 200 * MIB, **asked)
    assert (two.blocks, two.tokens, two.concurrency) == (533, 14_652, pytest.approx(3.577181208053691))


def test_layers_are_dealt_into_groups_of_one_size():
    def dealt(full, windowed):
        layers = (Layer(64, 64),) * full + (Layer(64, 64, 128),) * windowed
        return [(group.layers, group.window) for group in vllm.groups(Model("", "", layers))]

    assert dealt(10, 20) == [(10, 0), (10, 128), (10, 128)]
    assert dealt(13, 12) == [(13, 0), (13, 128)]  # nearly as many: filled up rather than cut small
    assert dealt(2, 3) == [(2, 0), (2, 128), (2, 128)]


def test_a_window_costs_a_long_request_little():
    short, long = (vllm.memory_for(WINDOWED, 1, n, block_size=32, max_num_batched_tokens=512) for n in (2048, 65536))
    assert long < 32 * short / 4
    alike = Model("", "", (Layer(256, 256),) * 18, dtype="float32")
    assert vllm.memory_for(alike, 1, 65536) > 5 * long


def test_what_fits():
    options = {"block_size": 32, "max_num_batched_tokens": 512}
    for model in (ALIKE, WINDOWED):
        longest = vllm.longest_request(model, 64 * MIB, **options)
        assert vllm.memory_for(model, 1, longest, **options) <= 64 * MIB
        assert vllm.memory_for(model, 1, longest + 1, **options) > 64 * MIB
        most = vllm.most_sequences(model, 256 * MIB, each=1024, **options)
        assert vllm.memory_for(model, most, 1024, **options) <= 256 * MIB
        assert vllm.memory_for(model, most + 1, 1024, **options) > 256 * MIB
    assert vllm.longest_request(ALIKE, 1, **options) == vllm.most_sequences(ALIKE, 1, each=1024) == 0


def test_gpus_share_the_heads_but_not_a_compressed_vector():
    one, two = (vllm.cache(ALIKE, GIB, tensor_parallel_size=n).block_bytes for n in (1, 3))
    assert one == 3 * two
    latent = from_config({**SMOLLM2, "kv_lora_rank": 512, "qk_rope_head_dim": 64})
    assert vllm.cache(latent, GIB, tensor_parallel_size=8).block_bytes == 30 * 16 * 576 * 2


@pytest.mark.parametrize(
    ("config", "dtype", "expected"),
    [
        (SMOLLM2, "auto", 23_040),
        (SMOLLM2, "float32", 46_080),
        ({**SMOLLM2, "dtype": "float32"}, "auto", 23_040),
        ({**SMOLLM2, "dtype": None, "head_dim": None}, "bfloat16", 23_040),
        ({"text_config": SMOLLM2, "vision_config": {}}, "auto", 23_040),
        ({"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32, "torch_dtype": "float16"}, "auto", 256),
        ({**SMOLLM2, "sliding_window": 4096, "use_sliding_window": False}, "auto", 23_040),
        ({**SMOLLM2, "layer_types": ["full_attention"] * 30}, "auto", 23_040),
        # Half of the layers make a block of half the size, and there are two groups of them.
        (
            {**SMOLLM2, "layer_types": ["sliding_attention", "full_attention"] * 15, "sliding_window": 64},
            "auto",
            11_520,
        ),
        ({**SMOLLM2, "kv_lora_rank": 512, "qk_rope_head_dim": 64}, "auto", 30 * 576 * 2),
        # What the config leaves open, or what keeps something else.
        ({"model_type": "mamba"}, "auto", None),
        ({**SMOLLM2, "sliding_window": 4096}, "auto", None),
        ({**SMOLLM2, "layer_types": ["sliding_attention", "full_attention"] * 15}, "auto", None),
        ({**SMOLLM2, "layer_types": ["conv", "full_attention"] * 15}, "auto", None),
        ({**SMOLLM2, "mamba_d_state": 128}, "auto", None),
        ({**SMOLLM2, "num_key_value_heads": [1, 2, 3]}, "auto", None),
        ({**SMOLLM2, "dtype": "int4"}, "auto", None),
    ],
)
def test_bytes_of_a_token_in_one_group(config, dtype, expected):
    found = vllm.cache(from_config(config), GIB, dtype=dtype)
    assert (found and found.block_bytes / 16) == expected


def test_a_pattern_of_windows_in_older_configs():
    model = from_config({**SMOLLM2, "sliding_window": 512, "sliding_window_pattern": 6})
    assert [layer.window for layer in model.layers][:7] == [512] * 5 + [0, 512]


def test_both_files_of_one_model_have_one_shape():
    ours, theirs = from_gguf(gguf_header(resolve("smollm2-135m"))), from_config(SMOLLM2)
    for name in ("layers", "embedding", "queries", "heads", "context_length"):
        assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.parametrize(
    ("stored", "dtype", "times"),
    [("bfloat16", "auto", 1), ("bfloat16", "float32", 2), ("float32", "auto", 0.5), ("float16", "bfloat16", 1),
     ("bfloat16", "fp8", 1), ("", "float32", 1)],
)  # fmt: skip
def test_weights_are_loaded_in_the_number_format_chosen(stored, dtype, times):
    model = replace(known_model("mistralai/Mistral-7B-Instruct-v0.3"), dtype=stored)
    assert vllm.estimate(model, GIB, dtype=dtype).weights == times * model.weights.total
    found = fit.vllm_in_ram(model, 64 * GIB, GIB, max_model_len=2048, dtype="float32")
    assert found.estimate.weights == vllm.estimate(model, GIB, dtype="float32").weights
