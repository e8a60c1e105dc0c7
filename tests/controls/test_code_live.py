"""Each program is run, and gives the text that the same call gives, greedy or with a seed."""

import contextlib
import io
import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from courselib.answers.stream import ChatStream, chat_messages
from courselib.controls.code import openai_arguments, programs
from courselib.controls.controls import Controls
from courselib.controls.presets import PRESETS
from courselib.controls.routes import ROUTES, routes_of
from tests import sure
from tests.controls.drawn import some_controls

pytestmark = [pytest.mark.engine, pytest.mark.slow]

PROMPTS = ["Say hello.", "Quotes: \" and ' and \\ and\nlines", "用一句話說明什麼是 GPU。🙂 $HOME `id`"]
LIBRARIES = ("llama_cpp", "vllm", "text_generation")
LIVE = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
# Short, and repeatable: a seed where tokens are drawn.
CALLS = some_controls(
    max_tokens=st.integers(1, 10), seed=st.integers(0, 2**31), n=st.just(1) | st.just(2), logprobs=None
)


def shorter(controls):
    return controls.with_(max_tokens=12)


def asked(server, plan, prompt):
    """The texts of the call itself: by the course's own stream where that can show it, else bare."""
    controls, route = plan.controls, plan.route
    if route.takes == "messages" and (controls.n or 1) == 1:
        return b"".join(token.data for token in ChatStream(server, prompt, **openai_arguments(plan))).decode()
    reply = server.http.post(route.path, json=route.body(plan, prompt, server.model), timeout=120)
    assert reply.status_code == 200, reply.text
    return texts(reply.json())


def texts(reply):
    """The texts of an answer in one piece, of whatever route."""
    if isinstance(reply, list):
        return "\n".join(texts(one) for one in reply)
    if "choices" in reply:
        choices = sorted(reply["choices"], key=lambda choice: choice["index"])
        return "\n".join(choice["message"]["content"] if "message" in choice else choice["text"] for choice in choices)
    return reply.get("content", reply.get("generated_text"))


def run(name, program):
    """What a program prints; Python's in this process, for a hundred imports of a client would take minutes."""
    if name == "curl":
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=120, check=True)
        return streamed(done.stdout)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, name, "exec"), {"__name__": "__main__"})
    return printed.getvalue()


def streamed(text):
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    if not events:
        return texts(json.loads(text))
    choices = [choice for event in events for choice in event.get("choices", [])]
    pieces = [choice["delta"].get("content") if "delta" in choice else choice["text"] for choice in choices]
    return "".join(piece or "" for piece in pieces) + "".join(event.get("content") or "" for event in events)


def check(server, route, controls, prompt):
    """Run every program of a call but those that need an environment of their own."""
    plan = route.plan(controls)
    given_prompt = chat_messages(prompt) if route.takes == "messages" else prompt
    asked(server, plan, given_prompt)  # a prompt read from the cache is computed in other batches than a new one
    expected = asked(server, plan, given_prompt)
    for name, program in programs(plan, given_prompt, server.endpoint).items():
        if name not in LIBRARIES:
            assert same(run(name, program), expected), (name, program)


def same(printed, expected):
    """Whether a program printed an answer; what of a last character is unfinished comes in one piece only."""
    printed, expected = printed.rstrip("\n"), expected.rstrip("\n")
    if expected.endswith("\ufffd") and printed != expected:
        # llama.cpp's stream holds back the token that begins it, with the blank that may be in that token, too.
        return expected.rstrip("\ufffd").removesuffix(" ") == printed.rstrip()
    return printed == expected


@LIVE
@given(controls=CALLS, prompt=st.sampled_from(PROMPTS), route=st.sampled_from(routes_of("llama.cpp")))
def test_llamacpp(llamacpp_server, controls, prompt, route):
    check(llamacpp_server, route, controls, prompt)


@LIVE
@given(controls=CALLS, prompt=st.sampled_from(PROMPTS), route=st.sampled_from(routes_of("tgi-gateway")))
def test_gateway(gateway_server, controls, prompt, route):
    check(gateway_server, route, controls, prompt)


@settings(LIVE, max_examples=20)
@given(controls=CALLS, prompt=st.sampled_from(PROMPTS), route=st.sampled_from(routes_of("vllm")))
def test_vllm(vllm_server, controls, prompt, route):
    check(vllm_server, route, controls, prompt)


@pytest.mark.parametrize("preset", list(PRESETS)[1:])
@pytest.mark.parametrize("engine", ["llamacpp_server", "gateway_server"])
def test_presets(request, engine, preset):
    server = request.getfixturevalue(engine)
    for route in routes_of(server.engine_name):
        check(server, route, shorter(PRESETS[preset]), PROMPTS[0])


@pytest.mark.parametrize(
    "controls", [Controls(temperature=0, max_tokens=8), Controls(max_tokens=8, logprobs=2, seed=1)]
)
def test_log_probabilities_and_several_answers_are_printed(llamacpp_server, controls):
    plan = ROUTES["llama.cpp chat"].plan(controls.with_(n=2))
    printed = run("openai", programs(plan, chat_messages("Hi"), llamacpp_server.endpoint)["openai"])
    assert len(printed.strip().splitlines()) >= 2
    assert ("logprob=" in printed) == (controls.logprobs is not None)


@pytest.mark.parametrize("client", ["openai", "huggingface_hub"])
def test_in_a_new_process(llamacpp_server, client):
    plan = ROUTES["llama.cpp chat"].plan(Controls(temperature=0, max_tokens=8))
    program = programs(plan, chat_messages("Hi"), llamacpp_server.endpoint)[client]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == asked(llamacpp_server, plan, chat_messages("Hi"))


@pytest.mark.parametrize("route", ["llama.cpp chat", "llama.cpp completions"])
def test_the_library_on_the_same_file(llama_cpp, llamacpp_server, route):
    plan = ROUTES[route].plan(Controls(temperature=0, max_tokens=2, min_p=0.0))
    prompt = sure.MESSAGES if "chat" in route else sure.TEXT
    program = programs(plan, prompt, llamacpp_server.endpoint)["llama_cpp"]
    # Another build of llama.cpp: its logits differ in the second digit, so that only sure tokens are the same.
    assert run("llama_cpp", program).rstrip("\n") == asked(llamacpp_server, plan, prompt)


@pytest.mark.timeout(300)
def test_vllm_as_a_library(vllm_server, installed):
    plan = ROUTES["vLLM chat"].plan(Controls(temperature=0, max_tokens=8, min_tokens=2))
    program = programs(plan, sure.MESSAGES, vllm_server.endpoint)["vllm"]
    # In bfloat16, the model's own format. vLLM's log goes the same way.
    assert sure.ANSWER in in_environment(installed.python, program).stdout.splitlines()
    assert asked(vllm_server, plan, sure.MESSAGES) == sure.ANSWER


def test_what_is_sure_elsewhere_is_sure_here(llamacpp_server):
    assert sure.least_lead(llamacpp_server) > sure.LEAD


def test_what_is_sure_elsewhere_is_sure_on_vllm(vllm_server):
    assert sure.least_lead(vllm_server) > sure.LEAD


def test_tgis_older_client(gateway_server, text_generation_python):
    for controls in (Controls(temperature=0, max_tokens=8), Controls(temperature=0.7, top_k=9, seed=3, max_tokens=8)):
        plan = ROUTES["TGI /generate"].plan(controls)
        program = programs(plan, PROMPTS[0], gateway_server.endpoint)["text_generation"]
        done = in_environment(text_generation_python, program)
        assert done.stdout.rstrip("\n") == asked(gateway_server, plan, PROMPTS[0]).rstrip("\n")


def in_environment(python, program):
    return subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=280, check=True)
