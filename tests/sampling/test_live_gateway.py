"""The TGI gateway draws what its pipeline predicts: TGI's order, on the logits of the engine behind it."""

import math

import numpy as np
import pytest

import courselib
from courselib.controls.controls import Controls
from courselib.controls.routes import ROUTES
from courselib.observe.logits import TGI_TOP, next_token
from courselib.sampling import total_variation
from tests.sampling import live

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]

# vLLM has this order, too; llama.cpp's default, with temperature last, leaves half as many tokens.
CONTROLS = Controls(temperature=1.5, top_p=0.7, top_k=20)
# Answers to one request, one after the other: computed together, their logits would move, and be slower to have.
BATCH = 64


@pytest.fixture(scope="module")
def gateway():
    with courselib.launch("tgi-gateway", context=512, max_batch_size=1, max_best_of=BATCH) as running:
        yield running


@pytest.fixture(scope="module")
def behind():
    """All that llama.cpp tells of the next token; the gateway tells five, as TGI does."""
    with courselib.launch("llama.cpp", context=512) as running:
        return next_token(running, live.PROMPT)


def test_it_tells_the_likeliest_and_how_much_is_missing(gateway, behind):
    told = next_token(gateway, live.PROMPT)
    assert told.prompt == behind.prompt
    seen = np.flatnonzero(np.isfinite(told.logprobs))
    assert seen.size == TGI_TOP
    assert set(seen.tolist()) == set(np.argsort(-behind.logprobs)[:TGI_TOP].tolist())
    np.testing.assert_allclose(told.logprobs[seen], behind.logprobs[seen], atol=1e-3)
    assert math.isclose(told.remainder, 1 - np.exp(behind.logprobs[seen]).sum(), abs_tol=1e-3)
    assert told.offset is None


def test_it_tells_the_predicted_probabilities_whatever_the_controls(gateway, behind):
    """TGI tells the log-probabilities of the likeliest tokens as its stages have left them."""
    for controls in live.settings("tgi-gateway"):
        ours = live.predicted("tgi-gateway", controls, behind)
        parameters = {**ROUTES["TGI /generate"].plan(controls).arguments, "max_new_tokens": 1, "details": True}
        body = {"inputs": live.PROMPT, "parameters": {**parameters, "top_n_tokens": TGI_TOP}}
        details = gateway.http.post("/generate", json=body, timeout=120).json()["details"]
        (told,) = details["top_tokens"]
        if controls.temperature == 0:  # greedily it takes the likeliest and still tells of the others
            assert details["tokens"][0]["id"] == ours.argmax(), controls
            continue
        assert len(told) == min(TGI_TOP, (ours > 0).sum())
        for token in told:
            # The prediction's logits are told as float32, and divided by a temperature.
            tolerance = 1e-6 + 4e-6 / controls.temperature
            assert abs(math.exp(token["logprob"]) - ours[token["id"]]) < tolerance, (controls, token)


def test_it_draws_what_is_predicted_and_not_what_llama_cpps_default_order_would_give(gateway, behind):
    counts = live.drawn(gateway, CONTROLS, live.DRAWS)
    assert counts.total() == live.DRAWS
    ours, theirs = (live.predicted(engine, CONTROLS, behind) for engine in ("tgi-gateway", "llama.cpp"))
    assert total_variation(ours, theirs) > 0.1
    assert live.compare(counts, ours).agrees
    assert not live.compare(counts, theirs).agrees


def test_it_is_greedy_without_a_control_that_asks_for_chance(gateway, behind):
    for controls in (Controls(), Controls(temperature=0), Controls(repetition_penalty=1.5)):
        counts = live.drawn(gateway, controls, 2)
        assert live.compare(counts, live.predicted("tgi-gateway", controls, behind)).agrees
        assert len(counts) == 1
