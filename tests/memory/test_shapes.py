"""Models that cannot run here, by the table of their shapes."""

import pytest

from courselib.errors import ModelNotFound
from courselib.memory import GIB, known_model, known_models, llamacpp, vllm

# As the hub states them.
PARAMETERS = {
    "meta-llama/Llama-3.1-8B-Instruct": 8_030_261_248,
    "meta-llama/Llama-3.1-70B-Instruct": 70_553_706_496,
    "mistralai/Mistral-7B-Instruct-v0.3": 7_248_023_552,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_weights_are_those_of_all_parameters(name):
    assert known_model(name).weights.total == 2 * PARAMETERS[name]


def test_each_has_a_known_cache():
    for name in known_models():
        assert llamacpp.kv_cache(known_model(name)) > 0
        assert vllm.cache(known_model(name), GIB).blocks > 0
    with pytest.raises(ModelNotFound, match="choose one of meta-llama"):
        known_model("none")


def test_a_7b_on_a_card_of_16_gib():
    model = known_model("Qwen/Qwen2.5-7B-Instruct")
    # In 16 bits not all its layers fit where 12 GiB are free, beside a cache of 8,192 tokens.
    assert 20 < llamacpp.most_gpu_layers(model, 12 * GIB, context=8192) < 29
    assert llamacpp.most_gpu_layers(model, 16 * GIB, context=8192) == 29
    left = 16 * GIB - model.weights.total
    assert vllm.longest_request(model, left) == (left // (16 * 57_344) - 1) * 16


def test_a_70b_on_four_cards_of_80_gib():
    model = known_model("meta-llama/Llama-3.1-70B-Instruct")
    each = 80 * GIB * 0.9 - model.weights.total / 4
    cache = vllm.cache(model, int(each), tensor_parallel_size=4)
    assert cache.concurrency > 3  # requests of 131,072 tokens


def test_windows_of_gpt_oss_on_llama_cpp():
    # A window of 128 tokens and a micro-batch of 512 are 640 cells, rounded up to 768: half of the layers keep those.
    model = known_model("openai/gpt-oss-20b")
    assert llamacpp.kv_cache(model, context=131_072) == (131_072 + 768) * 12 * 2048
    assert llamacpp.kv_cache(known_model("openai/gpt-oss-120b"), context=65_536, parallel=4, kv_unified=True) == (
        (65_536 + 1024) * 18 * 2048
    )
