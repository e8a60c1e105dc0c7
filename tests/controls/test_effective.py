"""What an engine says it used, read from recorded answers."""

import json
from types import SimpleNamespace

import pytest

from courselib.controls.catalogue import CONTROLS
from courselib.controls.controls import Controls
from courselib.controls.effective import by_control, compare, told_defaults, told_settings
from courselib.controls.routes import ROUTES
from courselib.controls.routes.llamacpp import COMPLETION
from courselib.observe.effective import server_defaults, server_sampling
from courselib.sampling import ServerSampling

# Recorded from llama.cpp b11549: the answer to {"prompt": "Hi", "n_predict": 2, "logit_bias": [[5, 1.5], [7, -2]],
# "stop": ["x"], "n_probs": 2, "seed": 5}, less the settings that are no controls of ours.
SETTINGS = {
    "seed": 5,
    "temperature": 0.800000011920929,
    "top_k": 40,
    "top_p": 0.949999988079071,
    "min_p": 0.05000000074505806,
    "typical_p": 1.0,
    "repeat_last_n": 64,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "dry_multiplier": 0.0,
    "dry_base": 1.75,
    "dry_allowed_length": 2,
    "stop": ["x"],
    "max_tokens": 2,
    "n_predict": 2,
    "ignore_eos": False,
    "logit_bias": [{"bias": 1.5, "token": 5}, {"bias": -2.0, "token": 7}],
    "n_probs": 2,
}
# Recorded from its /props.
PROPS = {"params": {**SETTINGS, "seed": 4294967295, "n_predict": -1, "n_probs": 0, "stop": [], "logit_bias": []}}
ASKED = Controls(max_tokens=2, logit_bias={5: 1.5, 7: -2}, stop=("x",), logprobs=2, seed=5)


def rows(route, controls, told, **more):
    return {row.control: row for row in compare(ROUTES[route].plan(controls, **more), told)}


def test_settings_are_found_wherever_a_route_tells_them():
    assert told_settings({"content": "", "generation_settings": SETTINGS}) == SETTINGS
    assert told_settings({"choices": [], "__verbose": {"generation_settings": SETTINGS}}) == SETTINGS
    assert told_settings({"generated_text": "", "details": {"seed": 3}}) == {"seed": 3}
    assert told_settings({"choices": []}) == {}


def test_every_number_the_engine_tells_is_the_control_that_it_was_sent_as():
    read = by_control("llama.cpp", SETTINGS)
    assert read == {
        "temperature": 0.8,
        "top_k": 40,
        "top_p": 0.95,
        "min_p": 0.05,
        "typical_p": 1.0,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "dry_multiplier": 0.0,
        "dry_base": 1.75,
        "dry_allowed_length": 2,
        "max_tokens": 2,
        "stop": ("x",),
        "ignore_eos": False,
        "seed": 5,
        "logit_bias": {5: 1.5, 7: -2.0},
        "logprobs": 2,
    }


def test_a_servers_defaults_without_its_own_words_for_none():
    read = told_defaults("llama.cpp", {"default_generation_settings": PROPS})
    assert not {"seed", "max_tokens", "logprobs"} & set(read)
    assert read["temperature"] == COMPLETION["temperature"].default == 0.8
    assert told_defaults("llama.cpp", {}) == {}


def test_the_biases_by_which_llamacpp_ignores_the_end_are_not_the_requests():
    told = [{"bias": 1.5, "token": 5}, {"bias": None, "token": 2}]
    assert by_control("llama.cpp", {"logit_bias": told})["logit_bias"] == {5: 1.5}


def test_defaults_of_a_generation_config():
    told = {"temperature": 0.6, "top_p": 0.9, "max_new_tokens": 100, "top_k": None, "eos_token_id": 2, "min_tokens": 4}
    assert told_defaults("vLLM", told) == {"temperature": 0.6, "top_p": 0.9, "max_tokens": 100}


def test_a_vllm_server_goes_by_the_file_in_its_models_folder(tmp_path):
    server = SimpleNamespace(engine_name="vllm", settings=SimpleNamespace(model=str(tmp_path)))
    assert server_defaults(server)[0] == {}
    (tmp_path / "generation_config.json").write_text(json.dumps({"top_k": 12, "eos_token_id": 2}))
    defaults, origin = server_defaults(server)
    line = ROUTES["vLLM chat"].plan(Controls(), defaults=defaults, origin=origin).line("top_k")
    assert line.text == "not sent: 12 applies, from the model's generation_config.json"
    assert server_defaults(SimpleNamespace(engine_name="vllm", settings=None)) == ({}, ""), "attached"


def reporting(params):
    """A llama-server whose /props holds these settings."""
    answer = SimpleNamespace(json=lambda: {"default_generation_settings": {"params": params}})
    answer.raise_for_status = lambda: answer
    http = SimpleNamespace(get=lambda _path, params: answer)
    return SimpleNamespace(engine_name="llama.cpp", model="m", settings=None, http=http)


class TestWhatAServerAppliesByItself:
    def test_llama_servers_settings_are_read_off_its_props(self):
        own = {
            "samplers": ["temperature", "top_k"], "repeat_last_n": 256, "dry_penalty_last_n": -1, "mirostat": 2,
            "xtc_probability": 0.5, "xtc_threshold": 0.2, "top_n_sigma": 1.5, "min_keep": 3, "dynatemp_range": 0.5,
        }  # fmt: skip
        found = server_sampling(reporting({**SETTINGS, **own}))
        assert {name: getattr(found, name) for name in own} == {**own, "samplers": ("temperature", "top_k")}
        assert (found.engine, found.notes) == ("llama.cpp", ())

    def test_one_that_does_not_report_them_is_noted(self):
        (note,) = server_sampling(reporting({})).notes
        assert "does not report its samplers" in note

    def test_of_vllm_the_models_folder_must_be_known(self, tmp_path):
        def notes(settings):
            return server_sampling(SimpleNamespace(engine_name="vllm", settings=settings)).notes

        assert "generation_config.json" in notes(None)[0], "attached"
        assert "generation_config.json" in notes(SimpleNamespace(model="owner/name"))[0]
        assert notes(SimpleNamespace(model=str(tmp_path))) == ()

    def test_others_apply_nothing_by_themselves(self):
        found = server_sampling(SimpleNamespace(engine_name="tgi", settings=None))
        assert found == ServerSampling("tgi")


@pytest.mark.parametrize("route", ["llama.cpp chat", "llama.cpp completions", "llama.cpp /completion"])
def test_what_was_asked_and_used_is_not_marked(route):
    found = rows(route, ASKED, SETTINGS)
    assert [name for name in CONTROLS if name in found] == list(found)
    assert not any(row.differs for row in found.values())
    assert found["seed"].origin == "the request"
    assert (found["top_k"].asked, found["top_k"].used, found["top_k"].origin) == (None, 40, "the engine's default")


def test_a_value_that_the_engine_changed_is_marked():
    found = rows("llama.cpp /completion", Controls(top_k=7, temperature=0.8), SETTINGS)
    assert (found["top_k"].asked, found["top_k"].used, found["top_k"].differs) == (7, 40, True)
    assert not found["temperature"].differs, "32 bits of 0.8"


def test_a_default_that_is_not_the_tables_is_marked_unless_the_server_told_it_before():
    told = {**SETTINGS, "top_k": 12}
    assert rows("llama.cpp chat", Controls(), told)["top_k"].differs
    assert not rows("llama.cpp chat", Controls(), told, defaults={"top_k": 12}, origin="here")["top_k"].differs


def test_a_control_that_the_route_has_not_is_a_row_where_it_was_asked_for():
    found = rows("llama.cpp chat", Controls(min_tokens=5, no_repeat_ngram_size=0), SETTINGS)
    assert (found["min_tokens"].used, found["min_tokens"].differs) == (None, True)
    assert found["min_tokens"].origin == "not on this route"
    assert "no_repeat_ngram_size" not in found, "off is off"


def test_tgi_tells_the_seed_and_none_where_nothing_was_drawn():
    assert rows("TGI /generate", Controls(seed=5, temperature=1), {"seed": 5})["seed"].used == 5
    assert "seed" not in rows("TGI /generate", Controls(), {"seed": None})
    assert not rows("TGI /generate", Controls(temperature=1), {"seed": 2**31})["seed"].differs
