"""Estimates as a learner meets them: parts, their sum, their text; and the question turned round."""

import dataclasses

import pytest

from courselib import i18n
from courselib.errors import SettingsError
from courselib.memory import GIB, MIB, Layer, Model, Part, Weights, from_config, from_gguf, llamacpp, size_text, vllm
from courselib.memory.estimate import BASIS, NAMES, Estimate
from courselib.models import gguf_header, resolve
from tests.memory import headers, tiny_models
from tests.models.small_gguf import small_gguf

# As llama.cpp has Qwen 2.5 7B: https://huggingface.co/Qwen/Qwen2.5-7B-Instruct (config.json).
QWEN_7B = from_config({
    "model_type": "qwen2", "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
    "hidden_size": 3584, "intermediate_size": 18_944, "vocab_size": 152_064, "torch_dtype": "bfloat16",
    "max_position_embeddings": 32_768,
})  # fmt: skip


@pytest.fixture(scope="module")
def smollm2():
    return from_gguf(gguf_header(resolve("smollm2-135m")))


def test_the_parts_of_the_bundled_model(smollm2):
    found = llamacpp.estimate(smollm2, context=4096)
    # The engine's own log: 92.10 MiB, 90.00 MiB, 18.64 MiB, 0.19 MiB; resident once ready: 240 MiB.
    assert (found.weights, found.kv_cache) == (96_576_768, 90 * MIB)
    assert found.compute == pytest.approx(18.64 * MIB, abs=0.03 * MIB)
    assert found.recurrent == 0 and found.on_gpu == 0 and found.is_complete
    assert found.resident_at_start == pytest.approx(240 * MIB, abs=2 * MIB)
    assert found.total == sum(part.size for part in found.parts)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.engine = "another"


def test_the_text_has_a_line_for_each_part(smollm2):
    table = llamacpp.estimate(smollm2, context=4096).as_table()
    assert table.splitlines()[0] == "Weights           92.10 MiB  the file's header"
    assert table.splitlines()[1] == "KV cache          90.00 MiB  the engine's own formula"
    assert table.splitlines()[-2].split()[0] == "Total"
    assert table.splitlines()[-1].startswith("On top, at most    8.00 GiB  prompts of earlier requests")


def test_what_may_come_on_top_is_in_no_sum(smollm2):
    grows, stays = (llamacpp.estimate(smollm2, context=4096, cache_ram=mib) for mib in (512, 0))
    assert (grows.on_top, stays.on_top) == (512 * MIB, 0)
    assert grows.parts == stays.parts and grows.total == stays.total
    assert "On top" not in stays.as_table() and "512.00 MiB  prompts of earlier requests" in grows.as_table()
    with pytest.raises(SettingsError, match="cache_ram"):
        llamacpp.estimate(smollm2, cache_ram=-1)


def test_what_is_not_known_is_no_number(tmp_path):
    unknown = from_gguf(headers.header(tmp_path, "nosuchmodel", layers=4))
    found = llamacpp.estimate(unknown)
    assert (found.kv_cache, found.compute, found.total, found.resident_at_start) == (None,) * 4
    assert found.weights == 256 and not found.is_complete
    assert "not known for this architecture" in found.as_table() and "?" in found.as_table()
    assert found.as_table().splitlines()[-2].startswith("Sum of what is known")
    assert llamacpp.longest_context(unknown, GIB) is None
    assert llamacpp.most_sequences(unknown, GIB, each=4096) is None
    assert llamacpp.most_gpu_layers(unknown, GIB) is None
    for asked in (vllm.cache(unknown, GIB), vllm.longest_request(unknown, GIB), vllm.memory_for(unknown, 1, 512)):
        assert asked is None
    assert vllm.most_sequences(unknown, GIB, each=512) is None


def test_weights_by_place(smollm2, tmp_path):
    weights = smollm2.weights
    assert len(weights.layers) == 30 and weights.tied and weights.other == 0
    assert weights.total == 96_576_768 == sum(weights.layers) + weights.embedding + weights.output
    entries, tensors = tiny_models.llama(64, 128, 4, 2, 16)
    path = tmp_path / "untied.gguf"
    path.write_bytes(small_gguf(entries, tensors=tensors | {"output.weight": (64, 259), "rope_freqs.weight": (8,)}))
    untied = from_gguf(gguf_header(path)).weights
    assert (untied.tied, untied.other, untied.output) == (False, 32, 4 * (64 + 64 * 259))


def test_weights_of_safetensors():
    tensors = {"model.embed_tokens.weight": 100, "model.layers.0.a": 7, "model.layers.1.a": 8, "model.norm.weight": 1}
    weights = from_config({}, tensors).weights
    assert weights == Weights(layers=(7, 8), embedding=100, other=1, tied=True)
    assert not from_config({}, {**tensors, "lm_head.weight": 100}).weights.tied


def test_the_longest_context_is_the_longest(smollm2):
    for others in ({}, {"parallel": 3}, {"parallel": 3, "kv_unified": True}, {"cache_type_k": "q8_0"}):
        found = llamacpp.longest_context(smollm2, 100 * MIB, **others)
        assert found % 256 == 0
        assert llamacpp.kv_cache(smollm2, context=found, **others) <= 100 * MIB
        assert llamacpp.kv_cache(smollm2, context=found + 256 * 3, **others) > 100 * MIB
    assert llamacpp.longest_context(smollm2, 1) == 0
    assert llamacpp.longest_context(smollm2, GIB, most=2048) == 2048


def test_the_most_sequences(smollm2):
    for unified in (True, False):
        found = llamacpp.most_sequences(smollm2, 200 * MIB, each=1024, kv_unified=unified)
        assert found == 200 * MIB // (1024 * 23_040)
    recurrent = Model("", "", (Layer(state=MIB),))
    assert llamacpp.most_sequences(recurrent, 10 * 4 * MIB, each=100) == 10


def seven_b(gib=4.36):
    """The weights as Q4_K_M has them, nearly: evenly in the layers, and a quarter in the tables."""
    layer = int(gib * GIB * 0.75 / 28)
    table = int(gib * GIB * 0.125)
    return dataclasses.replace(QWEN_7B, weights=Weights((layer,) * 28, table, table))


def test_layers_on_a_gpu():
    model = seven_b()
    assert llamacpp.kv_cache(model, context=32_768) == 32_768 * 57_344  # 1.75 GiB
    none, output, some, every = (llamacpp.estimate(model, context=8192, gpu_layers=n) for n in (0, 1, 11, None))
    assert none.on_gpu == 0
    # The output goes first, then the last layers with their caches; the table of embeddings stays.
    assert output.part("weights").on_gpu == model.weights.output and output.part("kv_cache").on_gpu == 0
    assert some.part("weights").on_gpu == model.weights.output + sum(model.weights.layers[18:])
    assert some.part("kv_cache").on_gpu == some.kv_cache * 10 // 28
    assert every.part("weights").on_gpu == model.weights.total - model.weights.embedding
    assert every.part("kv_cache").on_gpu == every.kv_cache
    fits = llamacpp.most_gpu_layers(model, 4 * GIB, context=8192)
    assert 0 < fits < 29
    assert llamacpp.estimate(model, context=8192, gpu_layers=fits).on_gpu <= 4 * GIB
    assert llamacpp.estimate(model, context=8192, gpu_layers=fits + 1).on_gpu > 4 * GIB
    assert llamacpp.most_gpu_layers(model, 16 * GIB, context=8192) == 29


def test_a_table_that_is_also_the_output_is_twice_where_a_gpu_helps(smollm2):
    cpu, gpu = (llamacpp.estimate(smollm2, gpu_layers=n) for n in (0, None))
    assert gpu.weights - cpu.weights == smollm2.weights.embedding
    assert gpu.part("weights").on_gpu == cpu.weights


def test_vllm_reserves_what_it_was_given(smollm2):
    found = vllm.estimate(smollm2, 512 * MIB)
    assert (found.kv_cache, found.weights) == (512 * MIB, 96_576_768)
    # Measured, without weights and KV cache: 1.63 to 1.70 GiB; of Gemma 3 270M, with its 262,144 tokens, 3.43 GiB.
    assert found.runtime == pytest.approx(1.67 * GIB, rel=0.03)
    gemma = dataclasses.replace(smollm2, vocabulary=262_144)
    assert vllm.estimate(gemma, MIB).runtime == pytest.approx(3.43 * GIB, rel=0.03)
    assert vllm.estimate(QWEN_7B, MIB).total is None


def test_sizes_for_people():
    texts = {None: "?", 0: "0.00 MiB", 90 * MIB: "90.00 MiB", 5 * GIB + GIB // 2: "5.50 GiB", 64 * GIB: "64.0 GiB"}
    assert {size: size_text(size) for size in texts} == texts


def test_every_part_has_a_name_that_can_be_translated(smollm2):
    for found in (llamacpp.estimate(smollm2), vllm.estimate(smollm2, MIB)):
        assert {part.name for part in found.parts} <= NAMES.keys()
        assert {part.basis for part in found.parts} <= BASIS.keys()
    assert i18n._("Weights") == "Weights"
    assert Estimate("", "", (Part("output", 1, "formula"),)).weights == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"context": 0}, "context is 0; choose a number from 1"),
        ({"parallel": 1.5}, "parallel is 1.5; give a whole number"),
        ({"cache_type_k": "q2_K"}, "cache_type_k is 'q2_K'; choose one of f32, f16"),
    ],
)
def test_settings_that_no_engine_takes(settings, words, smollm2):
    with pytest.raises(SettingsError, match=words):
        llamacpp.estimate(smollm2, **settings)


def test_settings_that_vllm_does_not_take(smollm2):
    with pytest.raises(SettingsError, match="block_size is 0"):
        vllm.cache(smollm2, GIB, block_size=0)
    with pytest.raises(SettingsError, match="dtype is 'int4'; choose one of auto, bfloat16"):
        vllm.cache(smollm2, GIB, dtype="int4")
