"""llama.cpp's live server and library draw what is predicted, and not what another engine's order would give."""

from pathlib import Path

import numpy as np
import pytest

import courselib
from courselib.controls.controls import Controls
from courselib.engines.llamacpp import engine
from courselib.errors import EngineDied, PromptTooLong, RequestRefused, SettingsError
from courselib.observe.draws import draw
from courselib.observe.effective import server_sampling
from courselib.observe.logits import next_token
from courselib.processes.python import python_module
from courselib.sampling import Context, pipeline, softmax, total_variation
from tests.sampling import live

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]

MANY = 200


@pytest.fixture(scope="module")
def server():
    """As many slots as there is room for: that many tokens come of one computed prompt."""
    with courselib.launch("llama.cpp", context=64 * 256, parallel=64) as running:
        yield running


@pytest.fixture(scope="module")
def told(server):
    return next_token(server, live.PROMPT)


def test_the_whole_distribution_is_told(told):
    assert told.remainder == 0
    assert np.isfinite(told.logprobs).all()
    assert abs(np.exp(told.logprobs).sum() - 1) < 1e-3
    assert b"".join(told.pieces[token] for token in told.prompt).decode() == live.PROMPT


def test_after_every_chain_the_server_has_the_predicted_probabilities(server, told):
    for controls, more in zip(live.settings("llama.cpp"), live.orders(), strict=True):
        # Chance would choose one of XTC's two outcomes.
        more = {**more, "xtc_probability": 0.0} if more else {}
        ours = live.predicted("llama.cpp", controls, told, **more)
        arguments = dict(live.completion_arguments(controls))
        body = {**arguments, **live.request_fields(more), "prompt": told.prompt, "n_predict": 1, "cache_prompt": True}
        asked = {**body, "n_probs": ours.size, "post_sampling_probs": True}
        answer = server.http.post("/completion", json=asked, timeout=120).json()
        theirs = np.zeros(ours.size)
        for entry in answer["completion_probabilities"][0]["top_probs"]:
            theirs[entry["id"]] = entry["prob"]
        both = (ours > 0) & (theirs > 0)
        if both.sum() > MANY:
            # Sums of so many float32 probabilities reach a boundary a rare token sooner or later.
            assert max(ours[~both].sum(), theirs[~both].sum()) < 1e-3, (controls, more)
            np.testing.assert_allclose(theirs[both] / theirs[both].sum(), ours[both] / ours[both].sum(), rtol=1e-4)
        else:
            # The logits are told as float32 log-probabilities, and divided by a temperature.
            tolerance = 1e-6 + 4e-6 / (controls.temperature or 0.8)
            assert np.abs(ours - theirs).max() < tolerance, (controls, more)


def test_a_server_started_with_samplers_of_its_own_is_predicted(monkeypatch):
    monkeypatch.setattr(engine, "python_module", lambda _module: python_module("tests.sampling.own_samplers"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))  # where that module is found
    given = Controls(temperature=0.7, presence_penalty=1.5, top_k=2)
    with courselib.launch("llama.cpp", context=256) as started:
        sampling = server_sampling(started)
        told = next_token(started, live.PROMPT)
        arguments = {**live.completion_arguments(given), "prompt": told.prompt, "n_predict": 1}
        asked = {**arguments, "n_probs": told.logprobs.size, "post_sampling_probs": True}
        answer = started.http.post("/completion", json=asked, timeout=120).json()
    assert (sampling.samplers, sampling.repeat_last_n) == (("temperature", "penalties"), 3)
    theirs = np.zeros(told.logprobs.size)
    for entry in answer["completion_probabilities"][0]["top_probs"]:
        theirs[entry["id"]] = entry["prob"]
    ours = pipeline("llama.cpp", given, Context(told.prompt, server=sampling)).probabilities(told.logits)
    usual = pipeline("llama.cpp", given, Context(told.prompt)).probabilities(told.logits)
    np.testing.assert_allclose(theirs, ours, atol=1e-4)
    assert total_variation(usual, theirs) > 0.1


def test_the_server_draws_what_is_predicted(server, told):
    for controls, more in zip(live.settings("llama.cpp", live.FEW), live.orders(live.FEW), strict=True):
        counts = live.drawn(server, controls, **live.request_fields(more))
        result = live.compare(counts, live.predicted("llama.cpp", controls, told, **more))
        assert result.agrees, (controls, more, result)


def test_another_engines_order_is_rejected(server, told):
    controls = Controls(temperature=1.5, top_p=0.7, top_k=20, min_p=0.05)
    counts = live.drawn(server, controls)
    ours, theirs = (live.predicted(engine, controls, told) for engine in ("llama.cpp", "vllm"))
    assert total_variation(ours, theirs) > 0.1
    assert live.compare(counts, ours).agrees
    assert not live.compare(counts, theirs).agrees
    # And llama.cpp, asked for vLLM's order, draws what vLLM would.
    counts = live.drawn(server, controls, samplers=["temperature", "min_p", "top_k", "top_p"])
    assert live.compare(counts, theirs).agrees
    assert not live.compare(counts, ours).agrees


def test_the_library_draws_what_is_predicted(llama_cpp, told):
    llm = courselib.native(context=512)
    mine = next_token(llm, live.PROMPT)
    # Two builds of the same engine; the server's offset was found by experiment, the library's is known.
    np.testing.assert_allclose(softmax(mine.logits), softmax(told.logits), atol=0.05)
    assert abs(mine.offset - told.offset) < 1
    for controls in live.settings("llama_cpp", live.FEW):
        result = live.compare(live.drawn(llm, controls), live.predicted("llama_cpp", controls, mine))
        assert result.agrees, (controls, result)
    with pytest.raises(PromptTooLong, match="the context holds only 512"):
        next_token(llm, "word " * 600)
    llm.close()


def test_prompts_that_cannot_be_are_refused(server):
    with pytest.raises(SettingsError, match="prompt is empty"):
        next_token(server, "")
    with pytest.raises(PromptTooLong, match="but the context holds 256; shorten it"):
        next_token(server, "word " * 400)
    with pytest.raises(SettingsError, match="draw at least one token"):
        draw(server, live.PROMPT, Controls(), 0)
    with pytest.raises(RequestRefused, match=r"refused the request: .*got -5") as refused:
        live.drawn(server, Controls(), 1, penalty_last_n=-1, repeat_last_n=-5)
    assert refused.value.details


def test_an_engine_that_has_ended_is_told():
    with courselib.launch("llama.cpp", context=256) as running:
        running.stop()
        with pytest.raises(EngineDied):
            next_token(running, live.PROMPT)
