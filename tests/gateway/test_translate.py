"""What goes to llama-server: everything TGI has off is sent as off, in TGI's order."""

import dataclasses

import httpx
import psutil
import pytest

from courselib.gateway.schema import Parameters
from courselib.gateway.translate import completion_body, tells_logprob
from courselib.gateway.validation import sampling

NEUTRAL = {
    "temperature": 0.0, "top_k": 0, "top_p": 1.0, "typical_p": 1.0, "min_p": 0.0, "repeat_penalty": 1.0,
    "frequency_penalty": 0.0, "presence_penalty": 0.0, "dry_multiplier": 0.0, "xtc_probability": 0.0,
    "top_n_sigma": -1.0, "mirostat": 0, "dynatemp_range": 0.0,
}  # fmt: skip


def body(seed=None, top_n=0, **given):
    chosen = sampling(Parameters(**{"stop": [], **given}))
    return completion_body([1, 2], chosen, new_tokens=5, seed=seed, top_n=top_n, context=512)


def test_greedy_sends_every_default():
    assert NEUTRAL.items() <= body().items()
    assert body()["samplers"] == ["penalties", "temperature", "top_k", "top_p", "typ_p"]
    assert body()["repeat_last_n"] == 512
    assert "seed" not in body()
    assert not body()["post_sampling_probs"]


CASES = [
    ({"do_sample": True}, {"temperature": 1.0}),
    ({"temperature": 0.7}, {"temperature": 0.7}),
    ({"top_k": 5}, {"temperature": 1.0, "top_k": 5}),
    ({"top_p": 0.9}, {"temperature": 1.0, "top_p": 0.9}),
    ({"typical_p": 0.9}, {"temperature": 1.0, "typical_p": 0.9}),
]


@pytest.mark.parametrize(("given", "sent"), CASES)
def test_sampling_sends_what_was_asked_and_the_rest_off(given, sent):
    assert {**NEUTRAL, **sent}.items() <= body(seed=1, **given).items()
    assert body(seed=1, **given)["post_sampling_probs"]


def test_penalties():
    assert body(repetition_penalty=1.2)["repeat_penalty"] == 1.2
    assert body(frequency_penalty=-0.5)["frequency_penalty"] == -0.5


def test_seeds_of_64_bits_fit_into_32_and_never_mean_chance():
    seeds = {body(seed=seed, do_sample=True)["seed"] for seed in (0, 1, 2**32 - 1, 2**32, 2**64 - 1)}
    assert all(0 <= seed < 2**32 - 1 for seed in seeds)


def test_stop_strings_are_not_sent():
    assert "stop" not in body(stop=["a"])


@pytest.mark.engine
def test_the_engine_answers_to_every_name_we_send(gateway):
    """llama-server ignores names it does not know, so what it says it used is compared with what was sent."""
    (engine,) = psutil.Process(gateway.pid).children()
    key, port = engine.environ()["LLAMA_API_KEY"], engine.cmdline()[engine.cmdline().index("--port") + 1]
    given = {"temperature": 0.5, "top_k": 7, "top_p": 0.75, "typical_p": 0.25, "repetition_penalty": 1.5,
             "frequency_penalty": 0.5}  # fmt: skip
    sent = {**body(seed=5, **given), "stream": False}
    answer = httpx.post(
        f"http://127.0.0.1:{port}/completion", json=sent, headers={"Authorization": f"Bearer {key}"}, timeout=30
    ).json()
    used = answer["generation_settings"]
    compared = NEUTRAL.keys() | {"samplers", "repeat_last_n", "seed", "post_sampling_probs"}
    assert {name: sent[name] for name in compared} == {name: used[name] for name in compared}


@pytest.mark.parametrize(
    ("given", "told"),
    [({}, True), ({"repetition_penalty": 1.1}, False), ({"frequency_penalty": 0.1}, False),
     ({"do_sample": True, "repetition_penalty": 1.1}, True)],
)  # fmt: skip
def test_where_the_engine_tells_tgis_logprob(given, told):
    assert tells_logprob(sampling(Parameters(**{"stop": [], **given}))) == told


def test_parameters_are_all_used_or_checked():
    """A new field must not be read and forgotten."""
    used_elsewhere = {
        "best_of", "max_new_tokens", "return_full_text", "stop", "truncate", "watermark", "details",
        "decoder_input_details", "seed", "top_n_tokens", "grammar", "adapter_id", "do_sample",
    }  # fmt: skip
    fields = {field.name for field in dataclasses.fields(Parameters)}
    kept = {field.name for field in dataclasses.fields(sampling(Parameters(stop=[])))} - {"sampled"}
    assert fields == kept | used_elsewhere
