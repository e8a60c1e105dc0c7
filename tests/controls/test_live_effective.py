"""What live engines say they used, for every control that they tell of."""

import pytest

from courselib.controls.controls import Controls
from courselib.controls.routes import ROUTES
from courselib.observe.effective import ask_and_compare, server_defaults

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(600)]

# A value of each control that llama.cpp tells, none of them a default.
ASKED = Controls(
    temperature=0.5,
    top_k=7,
    top_p=0.6,
    min_p=0.2,
    typical_p=0.7,
    repetition_penalty=1.2,
    presence_penalty=0.3,
    frequency_penalty=0.4,
    dry_multiplier=0.8,
    dry_base=2.0,
    dry_allowed_length=4,
    max_tokens=3,
    stop=("END", "\n\n"),
    ignore_eos=True,
    seed=11,
    logprobs=3,
    logit_bias={5: -1.5, 9: 2},
)
CHAT, TEXT = [{"role": "user", "content": "Hi"}], "Hi"


@pytest.mark.parametrize("name", ["llama.cpp chat", "llama.cpp completions", "llama.cpp /completion"])
def test_llamacpp_used_all_that_was_asked(llamacpp_server, name):
    route = ROUTES[name]
    prompt = CHAT if route.takes == "messages" else TEXT
    _answer, rows = ask_and_compare(llamacpp_server, route.plan(ASKED), prompt)
    assert {row.control: row.used for row in rows} == ASKED.given()
    assert not any(row.differs for row in rows)
    assert {row.origin for row in rows} == {"the request"}


def test_several_answers_and_what_is_not_there(llamacpp_server):
    route = ROUTES["llama.cpp /completion"]
    plan = route.plan(Controls(n=2, max_tokens=2, min_tokens=2, seed=3))
    answer, rows = ask_and_compare(llamacpp_server, plan, TEXT)
    assert answer["generation_settings"]["seed"] in (3, 4)
    assert [row.control for row in rows if row.differs] == ["min_tokens"]


@pytest.mark.parametrize("name", ["TGI /generate"])
def test_tgi_tells_the_seed(gateway_server, name):
    route = ROUTES[name]
    _answer, rows = ask_and_compare(gateway_server, route.plan(Controls(temperature=1.0, seed=5, max_tokens=2)), TEXT)
    assert [(row.control, row.asked, row.used, row.differs) for row in rows] == [("seed", 5, 5, False)]
    _answer, rows = ask_and_compare(gateway_server, route.plan(Controls(temperature=1.0, max_tokens=2)), TEXT)
    assert [(row.control, row.origin) for row in rows] == [("seed", "the engine's default")]
    _answer, rows = ask_and_compare(gateway_server, route.plan(Controls(max_tokens=2)), TEXT)
    assert rows == [], "nothing was drawn"
    assert server_defaults(gateway_server) == ({}, "")


def test_vllm_says_nothing_of_a_call(vllm_server):
    answer, rows = ask_and_compare(vllm_server, ROUTES["vLLM chat"].plan(Controls(max_tokens=2, typical_p=0.5)), CHAT)
    assert answer["usage"]["completion_tokens"] == 2
    assert [(row.control, row.used, row.differs) for row in rows] == [("typical_p", None, True)]
