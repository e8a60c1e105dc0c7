"""What applies where nothing is sent: the tables' defaults, and those of live engines."""

import inspect

import pytest

from courselib.controls.catalogue import CONTROLS
from courselib.controls.controls import Controls
from courselib.controls.effective import by_control
from courselib.controls.routes import ROUTES
from courselib.observe.effective import ask_and_compare, server_defaults
from tests.controls.asking import CHANCE, LENGTH, OPEN, greedy, likeliest
from tests.controls.conftest import CONTEXT

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]

LLAMACPP = ["llama.cpp chat", "llama.cpp completions", "llama.cpp /completion"]
NATIVE = ["llama_cpp.Llama", "llama_cpp.Llama chat"]
VLLM = ["vLLM chat", "vLLM completions", "vLLM SamplingParams"]
TGI = ["TGI /generate", "TGI chat"]
# A sentence that the model goes on repeating, nearly as long as the context.
REPEATING = "The cat sat on the mat. " * ((CONTEXT - 80) // 7)


def numbers(route):
    """The defaults of a route's table that are values and no words."""
    table = ROUTES[route].table.items()
    return {name: one.default for name, one in table if one.write and not isinstance(one.default, str)}


@pytest.mark.parametrize("name", LLAMACPP)
def test_llamacpps_settings_of_a_call_without_controls(llamacpp_server, name):
    route = ROUTES[name]
    prompt = [{"role": "user", "content": OPEN}] if route.takes == "messages" else OPEN
    _answer, rows = ask_and_compare(llamacpp_server, route.plan(Controls(max_tokens=1)), prompt)
    used = {row.control: row.used for row in rows}
    assert {name: value for name, value in numbers(route.name).items() if name != "n"}.items() <= used.items()
    assert not any(row.differs for row in rows)
    assert not {"seed", "logprobs"} & set(used), "by chance, and none"


def test_llamacpps_props(llamacpp_server):
    told, origin = server_defaults(llamacpp_server)
    assert origin == "this server's settings"
    expected = numbers("llama.cpp /completion")
    # Lists are not told; and n is of a request alone.
    assert told == {name: value for name, value in expected.items() if name not in ("n", "stop")}


@pytest.mark.parametrize("name", NATIVE)
def test_the_signature_of_llama_cpp(llama, name):
    call = llama.create_chat_completion if name.endswith("chat") else llama.create_completion
    signature = {key: one.default for key, one in inspect.signature(call).parameters.items()}
    for control, spelling in ROUTES[name].table.items():
        if spelling.write is None:
            assert control not in signature
            continue
        for key in spelling.write(1 if control in ("logprobs", "max_tokens", "seed") else CONTROLS[control].off):
            default = signature[key]
            expected = None if isinstance(spelling.default, str) else spelling.default
            assert default == (list(expected) if isinstance(expected, tuple) else expected), control


def test_the_fields_of_vllms_sampling_params(vllm_library):
    _process, told = vllm_library
    expected = numbers("vLLM SamplingParams")
    assert by_control("vLLM", told["defaults"]) == expected
    assert {name: told["defaults"][name] for name in ("seed", "logit_bias", "logprobs")} == dict.fromkeys(
        ("seed", "logit_bias", "logprobs")
    )
    assert told["seed"] == 0, "the engine's own, where none is sent"


def test_vllms_generation_config(vllm_server):
    told, origin = server_defaults(vllm_server)
    assert (told, origin) == ({}, "the model's generation_config.json")


@pytest.mark.parametrize("name", [*VLLM, *TGI])
def test_sending_the_defaults_is_sending_nothing(lives, name):
    live = lives(ROUTES[name])
    defaults = {key: value for key, value in numbers(name).items() if key not in ("max_tokens", "temperature")}
    chance = {**CHANCE, "seed": 1, "max_tokens": LENGTH}
    _first, plain = (live.ask(OPEN, **chance) for _time in range(2))
    assert live.ask(OPEN, **{**defaults, **chance}).result == plain.result


@pytest.mark.parametrize("name", [*VLLM, "TGI chat"])
def test_the_default_temperature(lives, name):
    live = lives(ROUTES[name])
    default = ROUTES[name].table["temperature"].default
    call = {"top_p": 0.7, "seed": 1, "max_tokens": LENGTH}
    _first, plain = (live.ask(OPEN, **call).text for _time in range(2))
    assert plain == live.ask(OPEN, temperature=default, **call).text
    assert plain != likeliest(live)


def test_tgi_takes_the_likeliest_unless_a_control_asks_for_chance(lives):
    live = lives(ROUTES["TGI /generate"])
    assert live.ask(OPEN, max_tokens=LENGTH).text == greedy(live)
    assert live.ask(OPEN, max_tokens=LENGTH, top_p=0.7, seed=1).text != greedy(live)


@pytest.mark.parametrize("name", ["llama_cpp.Llama", "vLLM completions", "vLLM SamplingParams"])
def test_sixteen_tokens_where_no_length_is_given(lives, name):
    assert ROUTES[name].table["max_tokens"].default == 16
    answer = lives(ROUTES[name]).ask(OPEN, temperature=0)
    assert (answer.length, answer.finish) == (16, "length")


@pytest.mark.parametrize("name", [*LLAMACPP, "vLLM chat", *TGI])
def test_the_rest_of_the_context_where_no_length_is_given(lives, name):
    live = lives(ROUTES[name])
    prompt = len(live.tokenize(REPEATING))
    answer = live.ask(REPEATING, temperature=0, ignore_eos=True)
    assert answer.finish in ("length", "limit")
    assert CONTEXT - 60 < prompt + answer.length <= CONTEXT


@pytest.mark.parametrize("name", [*LLAMACPP, *NATIVE, *TGI])
def test_another_seed_for_each_request(lives, name):
    live = lives(ROUTES[name])
    assert len({live.ask(OPEN, temperature=1.5, max_tokens=LENGTH).text for _time in range(3)}) > 1
