"""Would it start, and which setting would make it: what is advised fits, and a little more than that does not."""

from dataclasses import replace

import pytest

from courselib.memory import GIB, MIB, Weights, fit, known_model, llamacpp, vllm

MISTRAL, LLAMA_70B = known_model("mistralai/Mistral-7B-Instruct-v0.3"), known_model("meta-llama/Llama-3.1-70B-Instruct")
# Layers as of a small model, whose weights are a tenth of its cache.
SMALL = replace(MISTRAL, layers=MISTRAL.layers[:4], weights=Weights(layers=(16 * MIB,) * 4))
SETTINGS = [
    {"context": 65_536},
    {"context": 65_536, "parallel": 4},
    {"context": 65_536, "parallel": 4, "kv_unified": True},
    {"context": 65_536, "cache_type_k": "q8_0", "cache_type_v": "q8_0"},
    {"context": 65_536, "ubatch": 2048},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("available", [500 * MIB, 700 * MIB])
def test_the_context_advised_starts_and_is_the_longest(settings, available):
    found = fit.in_ram(SMALL, available, **settings)
    assert not found.starts and found.setting == "context" and 0 < found.value < 65_536
    advised = fit.in_ram(SMALL, available, **{**settings, "context": found.value})
    assert advised.starts and not advised.is_close and advised.held + fit.error(advised.held) <= available
    step = 256 * llamacpp.Settings(**settings).streams
    more = fit.in_ram(SMALL, available, **{**settings, "context": found.value + step})
    assert more.held + fit.error(more.held) > available


def test_what_may_come_on_top_is_named_and_refuses_nothing():
    needed = fit.in_ram(SMALL, 64 * GIB, context=4096).needed
    available = needed + fit.error(needed) + 100 * MIB
    found = fit.in_ram(SMALL, available, context=4096)
    assert found.starts and not found.is_slow and found.setting == "" and found.outgrows
    assert found.room_on_top == 100 * MIB
    lower = fit.in_ram(SMALL, available, context=4096, cache_ram=found.room_on_top // MIB)
    assert lower.starts and not lower.outgrows and lower.needed == found.needed
    assert not fit.in_ram(SMALL, available, context=4096, cache_ram=0).outgrows
    assert not fit.in_ram(SMALL, needed + 8 * GIB, context=4096).outgrows
    full = fit.in_ram(SMALL, needed, context=4096)
    assert full.outgrows and full.room_on_top == 0
    assert not fit.in_ram(SMALL, 100 * MIB, context=65_536).outgrows  # it does not start
    # The cache of earlier prompts is in RAM, and takes nothing of a card; vLLM keeps none besides its KV cache.
    assert fit.on_gpu(SMALL, 4 * GIB, context=4096).on_top == fit.vllm_in_ram(SMALL, 8 * GIB, 512 * MIB).on_top == 0


def test_weights_alone_can_be_read_again_and_that_is_slow():
    held = fit.in_ram(MISTRAL, 64 * GIB, context=4096).held
    needed = fit.in_ram(MISTRAL, 64 * GIB, context=4096).needed
    assert needed - held == MISTRAL.weights.total
    slow = fit.in_ram(MISTRAL, (held + needed) // 2, context=4096)
    assert slow.starts and slow.is_slow and slow.setting == ""
    assert fit.in_ram(MISTRAL, needed, context=4096).is_slow is False
    shorter = fit.in_ram(MISTRAL, MISTRAL.weights.total + 2 * GIB, context=16_384)
    assert shorter.is_slow and shorter.setting == "context"
    assert not fit.in_ram(MISTRAL, MISTRAL.weights.total + 2 * GIB, context=shorter.value).is_slow
    assert fit.in_ram(MISTRAL, held - 1, context=4096).starts is False


def test_on_a_card_a_7b_is_short_of_context_and_a_70b_of_layers():
    short = fit.on_gpu(MISTRAL, 16 * GIB, context=32_768, gpu_layers=999)
    assert not short.starts and short.setting == "context"
    assert fit.on_gpu(MISTRAL, 16 * GIB, context=short.value, gpu_layers=999).starts
    assert not fit.on_gpu(MISTRAL, 16 * GIB, context=short.value + 256, gpu_layers=999).starts
    large = fit.on_gpu(LLAMA_70B, 16 * GIB, context=4096, gpu_layers=999)
    assert not large.starts and large.setting == "gpu_layers" and 0 < large.value < 80
    assert fit.on_gpu(LLAMA_70B, 16 * GIB, context=4096, gpu_layers=large.value).starts
    assert not fit.on_gpu(LLAMA_70B, 16 * GIB, context=4096, gpu_layers=large.value + 1).starts
    assert fit.on_gpu(LLAMA_70B, 80 * GIB, 4, context=4096, gpu_layers=999).starts


def test_vllm_on_a_cpu_is_short_of_memory_or_of_cache():
    settings = {"max_model_len": 2048}
    room = fit.vllm_in_ram(SMALL, 8 * GIB, 512 * MIB, **settings)
    assert room.starts and room.cache_tokens == vllm.cache(SMALL, 512 * MIB, **settings).tokens
    short = fit.vllm_in_ram(SMALL, 8 * GIB, 16 * GIB, **settings)
    assert not short.starts and short.setting == "kv_cache_memory"
    assert fit.vllm_in_ram(SMALL, 8 * GIB, short.value, **settings).starts
    small = fit.vllm_in_ram(SMALL, 8 * GIB, 16 * MIB, **settings)
    assert not small.starts and small.cause == "cache" and small.setting == "max_model_len"
    assert fit.vllm_in_ram(SMALL, 8 * GIB, 16 * MIB, max_model_len=small.value).starts
    assert not fit.vllm_in_ram(SMALL, 8 * GIB, 16 * MIB, max_model_len=small.value + 16).starts


def test_vllm_and_tgi_give_the_cache_what_the_weights_leave():
    one = fit.vllm_on_gpu(MISTRAL, 16 * GIB, utilization=0.92, max_model_len=8192)
    assert one.starts and one.estimate.kv_cache == round(16 * GIB * 0.92) - MISTRAL.weights.total
    assert not fit.vllm_on_gpu(LLAMA_70B, 80 * GIB, max_model_len=2048).starts
    four = fit.vllm_on_gpu(LLAMA_70B, 80 * GIB, 4, max_model_len=8192)
    assert four.starts and four.cache_tokens > 400_000
    long = fit.tgi_on_gpu(MISTRAL, 16 * GIB, max_total_tokens=32_768)
    assert long.cause == "cache" and long.setting == "max_total_tokens"
    assert fit.tgi_on_gpu(MISTRAL, 16 * GIB, max_total_tokens=long.value).starts
    assert not fit.tgi_on_gpu(MISTRAL, 16 * GIB, max_total_tokens=long.value + 1).starts


def test_what_is_not_known_is_not_answered():
    assert not fit.in_ram(known_model("openai/gpt-oss-20b"), 64 * GIB, context=4096).is_known
    assert fit.in_ram(MISTRAL, 64 * GIB, context=4096).is_known
