"""What is chosen for a machine where nothing was asked for, and that it says why."""

from dataclasses import replace

import pytest

from courselib import machine as this_machine
from courselib.engines.vllm import machine
from courselib.engines.vllm.machine import Machine
from courselib.errors import OutOfMemory
from courselib.machine import Gpu
from tests.engines.vllm.machines import CPU, H100, OLD_CPU, T4, prepared

MIB = 1 << 20


def test_cpu():
    ready = prepared(CPU)
    assert (ready.dtype, ready.enforce_eager, ready.kv_cache_memory, ready.cpus) == ("auto", True, 512 * MIB, "0-1")
    text = " ".join(ready.notes)
    for words in ("On the CPU", "CPU_ATTN", "Eager", "512 MiB of KV cache"):
        assert words in text
    assert "bfloat16" not in text


def test_what_was_asked_for_is_kept_and_not_explained():
    asked = {"dtype": "float32", "enforce_eager": False, "kv_cache_memory": 400 * MIB, "cpus": "1"}
    ready = prepared(CPU, **asked)
    assert {name: getattr(ready, name) for name in asked} == asked
    assert not any("Eager" in note or "KV cache" in note for note in ready.notes)


def test_eager_mode_compiles_nothing_and_says_so():
    for chosen in (prepared(CPU), prepared(CPU, enforce_eager=True)):
        assert not chosen.compiler
        assert any("TORCHDYNAMO_DISABLE=1" in note for note in chosen.notes)
    for other in (prepared(CPU, enforce_eager=False), prepared(H100, enforce_eager=True)):
        assert other.compiler
        assert not any("TORCHDYNAMO" in note for note in other.notes)


def test_a_share_of_memory_asked_for_is_not_overruled_by_bytes():
    assert prepared(CPU, gpu_memory_utilization=0.2).kv_cache_memory is None


def test_a_small_machine_gets_less_kv_cache():
    small = Machine(features=("avx2",), free=int(2.4 * 2**30), total=4 * 2**30)
    assert prepared(small, max_model_len=1024).kv_cache_memory // MIB == 204
    assert prepared(OLD_CPU).kv_cache_memory == 512 * MIB


def test_bfloat16_is_of_no_account_where_it_is_not_used():
    assert any("no instructions for bfloat16" in note for note in prepared(OLD_CPU).notes)
    assert not any("bfloat16" in note for note in prepared(OLD_CPU, dtype="float32").notes)


def test_t4_gets_float16_and_is_told_why():
    ready = prepared(T4)
    assert (ready.dtype, ready.enforce_eager, ready.kv_cache_memory, ready.cpus) == ("float16", None, None, None)
    assert "bfloat16 needs compute capability 8.0 and this GPU has 7.5" in " ".join(ready.notes)


def test_a_kv_cache_is_not_refused_where_the_gpus_memory_is_not_known():
    shared = replace(H100, gpus=(Gpu("NVIDIA GB10", None),))
    assert prepared(shared, kv_cache_memory=90 * 2**30).kv_cache_memory == 90 * 2**30
    with pytest.raises(OutOfMemory, match="only 15360 MiB"):
        prepared(replace(T4, gpus=(*shared.gpus, *T4.gpus)), kv_cache_memory=90 * 2**30)


def test_newer_gpus_keep_the_models_format():
    assert prepared(H100).dtype == "auto"
    first, second = prepared(H100).notes
    assert first == "On the GPU (NVIDIA H100)."
    assert second == "Attention is FLASH_ATTN: what vLLM takes first for compute capability 9.0."


@pytest.mark.parametrize(
    ("capability", "backend"),
    [(7.5, "TRITON_ATTN"), (8.0, "FLASH_ATTN"), (8.9, "FLASH_ATTN"), (10.0, "FLASHINFER"), (12.0, "FLASH_ATTN")],
)
def test_the_attention_of_a_gpu(capability, backend):
    notes = prepared(replace(H100, capability=capability)).notes
    assert any(note.startswith(f"Attention is {backend}:") for note in notes)


@pytest.mark.parametrize(
    ("features", "told"),
    [
        (("avx2",), {"no AVX-512", "no instructions for bfloat16"}),
        (("avx2", "avx512f", "amx_tile"), {"no instructions for bfloat16"}),  # AMX is announced, and may not be granted
        (("asimd",), {"no instructions for bfloat16"}),
        (("asimd", "bf16"), set()),
        (("avx2", "avx512f", "avx512_bf16"), set()),
    ],
)
def test_what_a_processor_lacks_is_told(features, told):
    notes = " ".join(prepared(replace(CPU, features=features)).notes)
    assert {words for words in ("no AVX-512", "no instructions for bfloat16") if words in notes} == told


def test_a_gpu_that_this_build_cannot_use_is_told():
    assert "so Tesla T4 stays unused" in prepared(replace(CPU, spare_gpu="Tesla T4")).notes[0]


def test_cores_in_words_of_vllm(monkeypatch):
    for cores, words in (({0, 1}, "0-1"), ({3}, "3"), ({0, 2, 3}, "0,2,3"), (set(range(8)), "0-7")):
        monkeypatch.setattr(this_machine, "usable_cpus", lambda cores=cores: sorted(cores))
        monkeypatch.setattr(this_machine, "cores", lambda cores=cores: len(cores))
        assert machine._cpus() == words
