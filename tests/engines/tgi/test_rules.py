"""Each rule of TGI's is broken once: it is refused in TGI's own words, with how to mend it; its neighbour passes."""

import pytest

from courselib.engines.tgi.rules import RULES, ignored
from courselib.engines.tgi.settings import TgiSettings
from courselib.engines.tgi.values import IMAGE
from courselib.errors import SettingsError

CPU, XPU, ROCM = ({"image": f"{IMAGE}-{kind}"} for kind in ("intel-cpu", "intel-xpu", "rocm"))

# What breaks a rule, TGI's words, and the nearest settings that do not.
BROKEN = {
    "sharded among one": (
        {"sharded": True, "num_shard": 1},
        "`sharded` is true but `num_shard` <= 1",
        {"sharded": True, "num_shard": 2},
    ),
    "no shard": ({"num_shard": 0}, "`num_shard` cannot be < 1", {"num_shard": 1}),
    "exl2 sharded": (
        {"quantize": "exl2", "num_shard": 2},
        "Sharding is currently not supported with `exl2` quantization",
        {"quantize": "exl2", "num_shard": 1},
    ),
    "both names": (
        {"max_input_tokens": 10, "max_input_length": 11},
        "Both `max_input_tokens` (10) and `max_input_length` (11) are set. Please define only `max_input_tokens` as"
        " `max_input_length is deprecated for naming consistency.",
        {"max_input_length": 11},
    ),
    "prompt as long as all": (
        {"max_input_tokens": 4096, "max_total_tokens": 4096},
        "`max_input_tokens`(4096) must be < `max_total_tokens`(4096)",
        {"max_input_tokens": 4095, "max_total_tokens": 4096},
    ),
    "by its former name": (
        {"max_input_length": 4097, "max_total_tokens": 4096},
        "`max_input_tokens`(4097) must be < `max_total_tokens`(4096)",
        {"max_input_length": 4095, "max_total_tokens": 4096},
    ),
    "no workers": ({"validation_workers": 0}, "`validation_workers` must be > 0", {"validation_workers": 1}),
    "total above batch": (
        {"max_total_tokens": 8193, "max_batch_total_tokens": 8192},
        "`max_total_tokens` must be <= `max_batch_total_tokens`. Given: 8193 and 8192",
        {"max_total_tokens": 8192, "max_batch_total_tokens": 8192},
    ),
    "prefill below prompt": (
        {"max_input_tokens": 4096, "max_batch_prefill_tokens": 2048, "prefill_chunking": False},
        "`max_batch_prefill_tokens` must be >= `max_input_tokens`. Given: 2048 and 4096",
        {"max_input_tokens": 4096, "max_batch_prefill_tokens": 2048, "prefill_chunking": True},
    ),
    "prefill above batch": (
        {"max_batch_prefill_tokens": 8193, "max_batch_total_tokens": 8192},
        "`max_batch_prefill_tokens` must be <= `max_batch_total_tokens`. Given: 8193 and 8192",
        {"max_batch_prefill_tokens": 8192, "max_batch_total_tokens": 8192},
    ),
    "no batch": ({"max_batch_size": 0}, "`max_batch_size` must be > 0", {"max_batch_size": 1}),
    "dtype and quantize": (
        {"dtype": "float16", "quantize": "awq"},
        "Only 1 can be set between `dtype` and `quantize`, as they both decide how goes the final model.",
        {"dtype": "float16", "quantize": "bitsandbytes-nf4"},
    ),
    "quantised on a CPU": ({"quantize": "eetq", **CPU}, "quantization is not available on CPU", {"quantize": "eetq"}),
    "e4m3fn on a CPU": (
        {"kv_cache_dtype": "fp8_e4m3fn", **CPU},
        "float8_e4m3fn FP8 KV cache is not supported on Intel IPEX CPU",
        {"kv_cache_dtype": "fp8_e5m2", **CPU},
    ),
    "e5m2 on ROCm": (
        {"kv_cache_dtype": "fp8_e5m2", **ROCM},
        "float8_e5m2 FP8 KV cache is not supported on AMD ROCm",
        {"kv_cache_dtype": "fp8_e4m3fn", **ROCM},
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(name):
    settings, words, neighbour = BROKEN[name]
    with pytest.raises(SettingsError) as caught:
        TgiSettings(**settings)
    message = caught.value.message
    assert message.startswith(f"TGI refuses this: {words}")
    mend = message.removeprefix(f"TGI refuses this: {words}").lstrip(". ")
    assert len(mend) > 15 and mend.endswith(".")
    TgiSettings(**neighbour)


def test_every_rule_is_tested():
    words = {words for _settings, words, _neighbour in BROKEN.values()}
    stems = {rule.words.partition("{")[0] for rule in RULES}
    assert all(any(word.startswith(stem) for word in words) for stem in stems)


def test_the_order_is_that_of_the_launcher():
    with pytest.raises(SettingsError, match="num_shard"):
        TgiSettings(num_shard=0, max_input_tokens=9, max_total_tokens=9, validation_workers=0)
    with pytest.raises(SettingsError, match="must be < `max_total_tokens`"):
        TgiSettings(max_input_tokens=9, max_total_tokens=9, validation_workers=0)


IGNORED = {
    "the memory command of old": (
        {"max_batch_total_tokens": 8192, "max_total_tokens": 4096, "max_input_length": 3072},
        {"max_batch_total_tokens"},
    ),
    "waiting with chunks": ({"waiting_served_ratio": 1.2, "max_waiting_tokens": 9},
                            {"waiting_served_ratio", "max_waiting_tokens"}),
    "waiting without": ({"waiting_served_ratio": 1.2, "prefill_chunking": False}, set()),
    "GPU settings on a CPU": ({"cuda_memory_fraction": 0.5, "cuda_graphs": "1", **CPU},
                              {"cuda_memory_fraction", "cuda_graphs"}),
    "GPU settings": ({"cuda_memory_fraction": 0.5, "cuda_graphs": "1"}, set()),
    "memory on an Intel GPU": ({"cuda_memory_fraction": 0.5, **XPU}, {"cuda_memory_fraction"}),
    "shared memory for one": ({"shm_size": "4g", "num_shard": 1}, {"shm_size"}),
    "shared memory for two": ({"shm_size": "4g", "num_shard": 2}, set()),
    "padding": ({"max_batch_size": 4}, {"max_batch_size"}),
    "nothing": ({}, set()),
}  # fmt: skip


@pytest.mark.parametrize("name", IGNORED)
def test_ignored(name):
    settings, expected = IGNORED[name]
    found = ignored(TgiSettings(**settings))
    assert found.keys() == expected
    assert all(len(reason) > 10 for reason in found.values())
