"""vLLM's live server draws what is predicted, and not what llama.cpp's order would give.

In float32: in bfloat16 the logits move with what else is in the batch, which ``benchmarks/agreement.py`` measures.
"""

import numpy as np
import pytest

import courselib
from courselib.controls.controls import Controls
from courselib.errors import PromptTooLong
from courselib.observe.logits import next_token
from courselib.sampling import total_variation
from tests.sampling import live

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]

SETTINGS = (
    Controls(temperature=1.5, top_p=0.7, top_k=20, min_p=0.05),
    Controls(temperature=1.5, repetition_penalty=1.3, top_k=100),
)


@pytest.fixture(scope="module")
def server(installed):
    options = {"max_model_len": 512, "kv_cache_memory": 256 * 2**20, "block_size": live.BLOCK}
    options |= {"max_logprobs": -1, "logprobs_mode": "raw_logits"}
    with courselib.launch("vllm", dtype="float32", **options) as running:
        yield running


@pytest.fixture(scope="module")
def told(server):
    return next_token(server, live.LONG_PROMPT)


def test_all_logits_are_told(told):
    assert len(told.prompt) == live.BLOCK + 1, "drawing from it costs more than it need"
    assert told.remainder == 0
    assert told.offset is not None
    assert abs(np.exp(told.logprobs).sum() - 1) < 1e-6


@pytest.mark.parametrize("controls", SETTINGS)
def test_it_draws_what_is_predicted_and_not_what_llama_cpps_order_would_give(server, told, controls):
    counts = live.drawn(server, controls, prompt=live.LONG_PROMPT)
    ours, theirs = (live.predicted(engine, controls, told) for engine in ("vllm", "llama.cpp"))
    assert total_variation(ours, theirs) > 0.1
    assert live.compare(counts, ours).agrees
    assert not live.compare(counts, theirs).agrees


def test_prompts_too_long_are_told(server):
    with pytest.raises(PromptTooLong, match="does not fit"):
        next_token(server, "word " * 600)
