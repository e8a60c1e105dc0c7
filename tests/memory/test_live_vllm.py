"""vLLM's blocks by formula against vLLM itself, where layers with windows share the pool with others."""

import re

import pytest

import courselib
from courselib.memory import MIB, from_config, from_gguf, vllm
from courselib.models import gguf_header, hf_model

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]

SETTINGS = {"max_model_len": 4096, "block_size": 64, "max_num_batched_tokens": 512, "dtype": "float32"}


def test_vllm_deals_the_layers_into_groups(installed, gemma):
    with courselib.launch("vllm", model=str(gemma), kv_cache_memory=200 * MIB, **SETTINGS) as server:
        told, folder = server.http.get("/metrics").text, server.settings.model
        tokens = server.memory().kv_cache_tokens
    read = from_config(hf_model(folder).config)
    for model in (from_gguf(gguf_header(gemma)), read):
        cache = vllm.cache(model, 200 * MIB, steps_in_flight=1, **SETTINGS)
        assert cache.blocks == int(re.search(r'num_gpu_blocks="(\d+)"', told)[1])
        assert cache.concurrency == pytest.approx(float(re.search(r'max_concurrency="([\d.]+)"', told)[1]))
        assert cache.tokens == tokens
