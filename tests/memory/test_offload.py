"""Layers on two sides: bytes and times by hand, and what is on the GPU as the estimate has it."""

from dataclasses import replace

import pytest

from courselib.memory import GIB, Layer, Model, Weights, known_model, llamacpp, offload

# Four layers of 1,000 bytes, an output of 300; a cell takes (2 + 3) * 2 = 10 bytes of a layer.
TOY = Model(
    "toy", "llama", (Layer(2, 3),) * 4, Weights((1000,) * 4, embedding=500, output=300), vocabulary=10, embedding=8
)
LLAMA = known_model("meta-llama/Llama-3.1-8B-Instruct")


@pytest.mark.parametrize(
    ("layers", "gpu", "cpu"),
    [
        (0, 0, 4 * 3560 + 300),
        (1, 300, 4 * 3560),  # the output goes first
        (2, 3560 + 300, 3 * 3560),
        (5, 4 * 3560 + 300, 0),
        (99, 4 * 3560 + 300, 0),
        (None, 4 * 3560 + 300, 0),
    ],
)
def test_bytes_by_hand(layers, gpu, cpu):
    # 256 cells of 10 bytes beside the weights of each layer.
    assert offload.step(TOY, gpu_layers=layers, context=256) == offload.Step(gpu, cpu)


def test_a_tied_table_is_the_output():
    tied = replace(TOY, weights=Weights((1000,) * 4, embedding=500, tied=True))
    assert offload.step(tied, gpu_layers=1, context=256).gpu == 500
    assert offload.step(tied, gpu_layers=0, context=256).cpu == 4 * 3560 + 500


def test_the_cache_counts_in_its_format_and_in_whole_rows():
    assert offload.step(TOY, context=257).cpu - offload.step(TOY, context=256).cpu == 4 * 256 * 10
    eight_bits = offload.step(TOY, context=256, cache_type_k="q8_0", cache_type_v="q8_0")
    assert eight_bits.cpu == 4 * (1000 + 256 * 5 * 34 // 32) + 300


def test_times_of_both_sides_add_up():
    assert offload.Step(gpu=600, cpu=100).seconds(gpu=300, cpu=50) == pytest.approx(2 + 2)
    assert offload.Step(gpu=600, cpu=0).seconds(gpu=300, cpu=50) == pytest.approx(2)


@pytest.mark.parametrize("layers", [1, 12, 33])
def test_what_the_gpu_reads_is_what_the_estimate_has_there(layers):
    settings = {"gpu_layers": layers, "context": 4096}
    estimate = llamacpp.estimate(LLAMA, **settings)
    there = estimate.part("weights").on_gpu + estimate.part("kv_cache").on_gpu
    assert offload.step(LLAMA, **settings).gpu == there


def test_nothing_is_lost_between_the_sides():
    read = [offload.step(LLAMA, gpu_layers=layers, context=4096) for layers in range(34)]
    assert {each.gpu + each.cpu for each in read} == {LLAMA.weights.total - LLAMA.weights.embedding
                                                      - LLAMA.weights.other + GIB // 2}  # fmt: skip


def test_what_is_not_known_has_no_answer():
    assert offload.step(replace(TOY, layers=None)) is None
    assert offload.step(known_model("openai/gpt-oss-20b")) is None
