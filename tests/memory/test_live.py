"""The formulas against llama.cpp itself: to the last digit that it prints."""

import pytest

from courselib.memory import MIB
from courselib.models import resolve
from tests.memory import live, tiny_models
from tests.models.small_gguf import small_gguf

pytestmark = pytest.mark.engine


def check(run):
    """Cache and states as printed, weights within 1 %."""
    assert run.caches == run.expected_caches()
    expected = run.predicted.recurrent
    assert run.states == ([f"{expected / MIB:.2f}"] if expected else [])
    assert run.weights == pytest.approx(run.predicted.weights, rel=0.01, abs=0.01 * MIB)


@pytest.mark.slow
@pytest.mark.parametrize("settings", live.grid(), ids=live.words)
def test_smollm2(settings):
    run = live.start(resolve("smollm2-135m"), settings)
    check(run)
    assert run.memory.compute == pytest.approx(run.predicted.compute, rel=0.02, abs=0.1 * MIB)
    assert run.memory.output == pytest.approx(run.predicted.part("output").size, abs=0.01 * MIB)


@pytest.mark.slow
@pytest.mark.parametrize("settings", live.grid(), ids=live.words)
def test_gemma_with_its_windows(gemma, settings):
    run = live.start(gemma, settings)
    check(run)
    assert run.memory.compute == pytest.approx(run.predicted.compute, rel=0.1, abs=0.1 * MIB)


SETTINGS = {
    "one slot": {"context": 4096},
    "two slots": {"context": 16384, "parallel": 2, "ubatch": 256, "cache_type_k": "f32", "cache_type_v": "f32"},
    "shared": {"context": 4096, "parallel": 3, "kv_unified": True},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("family", ["gemma3", "lfm2", "deepseek2", "mamba"])
def test_families(family, settings, tmp_path):
    entries, tensors = getattr(tiny_models, family)()
    path = tmp_path / f"{family}.gguf"
    path.write_bytes(small_gguf(entries, tensors=tensors))
    check(live.start(path, settings))
