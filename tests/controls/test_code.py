"""The programs as texts: they parse, are laid out as the formatter would, and hold nothing of ours and nothing dead."""

import ast
import inspect
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from courselib.controls.clients import hub_client, openai_client
from courselib.controls.clients.python_text import literal
from courselib.controls.code import openai_arguments, programs
from courselib.controls.controls import Controls
from courselib.controls.routes import ROUTES
from courselib.engines.endpoint import Endpoint
from tests.controls.drawn import some_controls

HERE = Endpoint("http://127.0.0.1:8080", "k", "m", "llama.cpp", "/models/m.gguf", {"n_ctx": 2048})
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": 'Say "hi"\n你好 \\ $HOME `id`'}]
SERVED = [route for route in ROUTES.values() if route.path]


def all_programs(route, controls, endpoint=HERE):
    return programs(route.plan(controls), MESSAGES if route.takes == "messages" else "Say 'hi'", endpoint)


def written(route, controls):
    found = all_programs(route, controls) | all_programs(route, controls, Endpoint("http://h:1", "", "m", "vllm", "/m"))
    return {name: text for name, text in found.items() if name != "curl"}


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(controls=some_controls(), route=st.sampled_from(SERVED))
def test_programs_are_python_and_hold_nothing_of_ours(controls, route):
    for name, program in written(route, controls).items():
        tree = ast.parse(program)
        assert "courselib" not in program, name
        imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        assert len(imported) == 1, name


def test_formatted_as_the_formatter_would(tmp_path):
    drawn = Controls(
        temperature=0.7, stop=("a", 'say "b"'), logit_bias=dict.fromkeys(range(30), 1.5), seed=1, min_p=0.1
    )
    cases = [Controls(), Controls(temperature=0), Controls(n=2, logprobs=3), drawn, Controls.off()]
    for number, controls in enumerate(cases):
        for route in SERVED:
            for name, program in written(route, controls).items():
                code = "\n".join(line for line in program.splitlines() if not line.startswith("#")) + "\n"
                (tmp_path / f"{number}_{route.name.replace('/', '')}_{name}.py".replace(" ", "_")).write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert len(list(tmp_path.iterdir())) > 40


@given(controls=some_controls(), route=st.sampled_from(SERVED))
@settings(max_examples=60, deadline=None)
def test_every_argument_stands_in_the_program(controls, route):
    plan = route.plan(controls)
    program = all_programs(route, controls)["curl"]
    assert all(f'"{name}"' in program for name in plan.arguments)
    lost = {line.control for line in plan.report if line.asked is not None and not line.arguments}
    assert not any(f'"{name}"' in program for name in lost - set(plan.arguments))


def test_an_address_is_one_word_of_the_shell():
    plan = ROUTES["llama.cpp /completion"].plan(Controls())
    hostile = replace(HERE, url="http://host:8080/a b?x=1&y=$(date);'")
    words = shlex.split(programs(plan, "Hello", hostile)["curl"].replace("\\\n", " "))
    assert f"{hostile.url}/completion" in words


@pytest.mark.parametrize("value", ["a", 'a "b"', "it's", 'it\'s "b"', "\\", "\n\t", "你好\u2028", "", "\x7f"])
def test_texts_are_python(value):
    assert ast.literal_eval(literal(value)) == value


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_values_are_python(value):
    assert ast.literal_eval(literal(value)) == value


def test_the_clients_have_the_arguments_by_name():
    from huggingface_hub import InferenceClient
    from openai.resources import chat, completions

    assert set(inspect.signature(chat.completions.Completions.create).parameters) >= openai_client.CHAT
    assert set(inspect.signature(completions.Completions.create).parameters) >= openai_client.TEXT
    assert set(inspect.signature(InferenceClient.chat_completion).parameters) >= hub_client.CHAT
    own = ROUTES["TGI /generate"].plan(
        Controls(temperature=0.5, top_k=3, typical_p=0.5, stop=("a",), logprobs=2, seed=1)
    )
    assert set(inspect.signature(InferenceClient.text_generation).parameters) >= set(own.arguments)


def test_what_openais_client_does_not_know_goes_into_the_extra_body():
    plan = ROUTES["vLLM chat"].plan(Controls(temperature=0.5, top_k=7, min_tokens=3))
    assert openai_arguments(plan) == {"temperature": 0.5, "extra_body": {"top_k": 7, "min_tokens": 3}}


def test_a_library_is_told_the_servers_defaults():
    text = all_programs(ROUTES["llama.cpp chat"], Controls())["llama_cpp"]
    assert "temperature=0.8" in text, "the library's own is 0.2"
    text = programs(ROUTES["vLLM chat"].plan(Controls()), MESSAGES, Endpoint("http://h:1", "", "m", "vllm", "/m"))[
        "vllm"
    ]
    assert "max_tokens=None" in text, "the library's own is 16"


def test_a_library_that_does_it_otherwise_says_so():
    text = all_programs(ROUTES["llama.cpp chat"], Controls(repetition_penalty=1.2, min_tokens=4))["llama_cpp"]
    assert text.startswith("# repetition_penalty: ")
    assert "never the prompt's" in text.splitlines()[0]
    assert "min_tokens=" not in text


def test_the_older_client_says_how_long_it_goes_and_what_it_refuses():
    route = ROUTES["TGI /generate"]
    assert "20 tokens" in all_programs(route, Controls())["text_generation"]
    assert "20 tokens" not in all_programs(route, Controls(max_tokens=5))["text_generation"]
    assert "text_generation" not in all_programs(route, Controls(frequency_penalty=-1))
