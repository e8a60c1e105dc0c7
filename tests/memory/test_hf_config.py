"""Whatever a config.json holds gives a shape with a figure or without one, and no error."""

from hypothesis import given
from hypothesis import strategies as st

from courselib.memory import GIB, from_config, llamacpp, vllm
from tests.engines.vllm.machines import SMOLLM2

KEYS = (
    "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_size", "intermediate_size",
    "sliding_window", "sliding_window_pattern", "use_sliding_window", "layer_types", "kv_lora_rank", "qk_rope_head_dim",
    "vocab_size", "max_position_embeddings", "torch_dtype", "num_experts_per_tok", "moe_intermediate_size",
)  # fmt: skip
kinds = st.lists(st.sampled_from(["full_attention", "sliding_attention", "conv", None, []]), max_size=4)
numbers = st.one_of(st.integers(-3, 40), st.sampled_from([2**31, 2**63, 0.5, True, None, "many", [1, 2]]))


@given(config=st.dictionaries(st.sampled_from(KEYS), st.one_of(numbers, kinds)))
def test_any_config(config):
    for given_config in (config, {**SMOLLM2, **config}, {"text_config": config}, {"text_config": 1, **config}):
        model = from_config(given_config)
        assert llamacpp.kv_cache(model) is None or model.layers
        cache = vllm.cache(model, GIB)
        assert cache is None or cache.blocks >= 0


def test_gpus_beyond_the_kv_heads_hold_copies():
    two, many = (vllm.cache(from_config(SMOLLM2), GIB, tensor_parallel_size=n).block_bytes for n in (3, 9))
    assert two == many
