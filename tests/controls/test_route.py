"""From controls to a request: each verdict, on a route made up for it, and what holds for every route there is."""

import dataclasses
import json

import pytest

from courselib.controls.catalogue import CONTROLS
from courselib.controls.controls import Controls
from courselib.controls.route import (
    LOST,
    WORTH_A_WORD,
    Combination,
    Route,
    Verdict,
    differs,
    ignored,
    missing,
    sent,
)
from courselib.controls.routes import ROUTES, chat_route, routes_of

# A value of each control that is neither off nor any route's default.
SOME = {
    "temperature": 0.5,
    "top_k": 7,
    "top_p": 0.6,
    "min_p": 0.2,
    "typical_p": 0.7,
    "repetition_penalty": 1.2,
    "presence_penalty": 0.3,
    "frequency_penalty": 0.4,
    "no_repeat_ngram_size": 3,
    "dry_multiplier": 0.8,
    "dry_base": 2.0,
    "dry_allowed_length": 4,
    "max_tokens": 9,
    "min_tokens": 2,
    "stop": ("END",),
    "ignore_eos": True,
    "skip_special_tokens": False,
    "seed": 11,
    "logit_bias": {5: -1.5},
    "logprobs": 3,
    "n": 2,
}


def made_up(**spellings):
    """A route that has only these controls."""
    table = {name: missing("nothing is near") for name in CONTROLS}
    return Route("made up", "Engine", ("engine",), "prompt", {**table, **spellings}, "1.0", "/made-up")


def told(route, name, value, **more):
    return route.plan(Controls(**{name: value}), **more).line(name)


class TestVerdicts:
    def test_sent(self):
        line = told(made_up(top_k=sent("k", 40, "ties stay")), "top_k", 5)
        assert (line.verdict, line.arguments, line.matters) == (Verdict.SENT, {"k": 5}, False)
        assert line.text == "sent as k=5; ties stay"

    def test_default_of_the_engine(self):
        line = told(made_up(top_k=sent("k", 40)), "top_k", None)
        assert (line.verdict, line.arguments, line.matters) == (Verdict.DEFAULT, {}, False)
        assert line.text == "not sent: Engine's default applies, 40"

    def test_default_of_the_very_server_and_where_it_is_from(self):
        route = made_up(top_k=sent("k", 40))
        line = told(route, "top_k", None, defaults={"top_k": 12}, origin="generation_config.json")
        assert line.text == "not sent: 12 applies, from generation_config.json"
        same = told(route, "top_k", None, defaults={"top_k": 40}, origin="generation_config.json")
        assert same.text == "not sent: Engine's default applies, 40"

    def test_means_something_else(self):
        line = told(made_up(presence_penalty=differs("presence", "twice as much here", 0.0)), "presence_penalty", 0.5)
        assert (line.verdict, line.arguments, line.matters) == (Verdict.DIFFERENT, {"presence": 0.5}, True)
        assert line.text == "sent as presence=0.5; twice as much here"

    def test_clamped_only_where_the_engine_takes_another_value(self):
        route = made_up(temperature=sent("temperature", 1.0, clamp=lambda value: max(value, 0.01)))
        line = told(route, "temperature", 0.001)
        assert (line.verdict, line.arguments, line.matters) == (Verdict.CLAMPED, {"temperature": 0.001}, True)
        assert line.text == "sent as temperature=0.001; the engine takes 0.01 for it"
        assert told(route, "temperature", 0.5).verdict is Verdict.SENT

    def test_refused_beyond_what_the_route_takes(self):
        route = made_up(logprobs=sent("logprobs", accepts=lambda count: count <= 5, interval="5 at most"))
        line = told(route, "logprobs", 6)
        assert (line.verdict, line.arguments, line.matters) == (Verdict.REFUSED, {}, True)
        assert line.text == "not sent: this route takes 5 at most"
        assert told(route, "logprobs", 5).verdict is Verdict.SENT

    @pytest.mark.parametrize("value", [3, None])
    def test_ignored_and_missing_whether_set_or_not(self, value):
        for spelling, words in (
            (ignored("use another"), "this route ignores it; use another"),
            (missing("use another"), "this route has no such control; use another"),
        ):
            line = told(made_up(top_k=spelling), "top_k", value)
            assert (line.verdict, line.arguments, line.text) == (spelling.verdict, {}, words)
            assert line.matters is (value is not None), "nobody need be told of what he did not set"

    def test_off_where_the_route_has_it_not_or_says_it_by_leaving_out(self):
        for spelling in (missing(""), ignored(""), sent("k", off_is_absent=True)):
            line = told(made_up(top_k=spelling), "top_k", 0)
            assert (line.verdict, line.arguments, line.matters) == (Verdict.OFF, {}, False)
            assert line.text == "left out, which is off here"
        assert told(made_up(top_k=sent("k")), "top_k", 0).arguments == {"k": 0}

    def test_combination_that_sends_more_and_less(self):
        def combine(controls):
            return Combination(unsent={"seed": (Verdict.OFF, "no chance")}, arguments={"draw": controls.top_k})

        route = dataclasses.replace(made_up(seed=sent("seed"), top_k=sent("k")), combine=combine)
        plan = route.plan(Controls(seed=1, top_k=2))
        assert plan.arguments == {"draw": 2, "k": 2}
        assert plan.line("seed").text == "not sent: no chance"

    def test_notes_name_the_control(self):
        plan = made_up(top_k=differs("k", "not so")).plan(Controls(top_k=1, min_p=0.5))
        assert plan.notes == [
            "top_k: sent as k=1; not so",
            "min_p: this route has no such control; nothing is near",
        ]

    def test_every_verdict_was_seen_here(self):
        assert {*WORTH_A_WORD, Verdict.SENT, Verdict.OFF, Verdict.DEFAULT} == set(Verdict)
        assert set(LOST) < set(WORTH_A_WORD)


class TestBody:
    def test_beside_the_prompt(self):
        route = made_up(top_k=sent("k"))
        plan = route.plan(Controls(top_k=1))
        assert route.body(plan, "Hi", "m") == {"model": "m", "prompt": "Hi", "k": 1}
        assert route.body(plan, "Hi") == {"prompt": "Hi", "k": 1}

    def test_in_a_field_of_its_own(self):
        route = dataclasses.replace(made_up(top_k=sent("k")), nest="parameters")
        assert route.body(route.plan(Controls(top_k=1)), "Hi", "m") == {"inputs": "Hi", "parameters": {"k": 1}}


@pytest.fixture(params=ROUTES.values(), ids=ROUTES)
def route(request):
    return request.param


class TestEveryRoute:
    def test_spells_every_control_and_no_other(self, route):
        assert list(route.table) == list(CONTROLS)

    def test_reports_on_every_control_in_order_set_or_not(self, route):
        for controls in (Controls(), Controls(**SOME), Controls.off()):
            plan = route.plan(controls)
            assert [line.control for line in plan.report] == list(CONTROLS)
            assert all(line.text for line in plan.report)

    def test_nothing_set_sends_nothing(self, route):
        assert route.plan(Controls()).arguments == {}

    def test_what_is_lost_sends_nothing_and_says_what_there_is(self, route):
        for name, value in SOME.items():
            line = told(route, name, value)
            assert bool(line.arguments) is (line.verdict not in LOST), name
            if line.verdict in LOST:
                assert "; " in line.text, f"{name}: nothing is said of what to use instead"

    def test_arguments_can_be_sent_as_json(self, route):
        plan = route.plan(Controls(**SOME))
        assert json.loads(json.dumps(plan.arguments)).keys() == plan.arguments.keys()

    def test_off_sends_nothing_that_the_route_would_refuse(self, route):
        for line in route.plan(Controls.off()).report:
            assert line.verdict is not Verdict.REFUSED, line.control

    def test_a_default_is_a_value_of_the_control_or_words(self, route):
        for name, spelling in route.table.items():
            if not isinstance(spelling.default, str):
                assert CONTROLS[name].check(spelling.default) == spelling.default, name


def test_routes_of_an_engines_servers():
    assert [route.name for route in routes_of("llama.cpp")] == [
        "llama.cpp chat",
        "llama.cpp completions",
        "llama.cpp /completion",
    ]
    assert [route.name for route in routes_of("vllm")] == ["vLLM chat", "vLLM completions"]
    assert routes_of("tgi") == routes_of("tgi-gateway")
    assert routes_of("unknown") == []


def test_the_route_to_chat_with():
    names = {engine: chat_route(engine).name for engine in ("llama.cpp", "vllm", "tgi", "tgi-gateway", "unknown")}
    assert names == {
        "llama.cpp": "llama.cpp chat",
        "vllm": "vLLM chat",
        "tgi": "TGI chat",
        "tgi-gateway": "TGI chat",
        "unknown": "llama.cpp chat",
    }


@pytest.mark.parametrize("name", ["vLLM chat", "vLLM completions", "vLLM SamplingParams"])
def test_vllm_makes_one_answer_only_where_nothing_is_drawn_by_chance(name):
    greedy = ROUTES[name].plan(Controls(temperature=0, n=2))
    assert greedy.line("n").verdict is Verdict.REFUSED
    assert "n" not in greedy.arguments
    assert ROUTES[name].plan(Controls(temperature=0.5, n=2)).arguments["n"] == 2


class TestTgi:
    def test_temperature_asks_for_chance(self):
        plan = ROUTES["TGI /generate"].plan(Controls(temperature=0.7))
        assert plan.arguments == {"do_sample": True, "temperature": 0.7}

    def test_greedy_is_said_by_leaving_out_all_that_would_draw(self):
        asked = Controls(temperature=0, top_k=5, top_p=0.5, typical_p=0.5, seed=1, max_tokens=8)
        plan = ROUTES["TGI /generate"].plan(asked)
        assert plan.arguments == {"max_new_tokens": 8}
        assert plan.line("top_k").verdict is Verdict.OFF
        applies = {line.control: line.applies for line in plan.report}
        off = {"temperature": 0, "top_k": 0, "top_p": 1, "typical_p": 1, "seed": "another one for each request"}
        assert {name: applies[name] for name in off} == off, "what is not sent does not apply"

    def test_what_the_chat_does_not_have_is_not_available(self):
        chat = ROUTES["TGI chat"].plan(Controls(top_k=5, min_p=0.1, typical_p=0.5, repetition_penalty=1.2, n=2))
        lost = {line.control: line.verdict for line in chat.report if line.asked is not None}
        assert lost.pop("n") is Verdict.IGNORED
        assert set(lost.values()) == {Verdict.MISSING}
        assert chat.line("top_k").text == "this route has no such control; TGI has it on /generate"

    def test_a_presence_penalty_that_would_be_a_repetition_penalty_of_nothing(self):
        assert told(ROUTES["TGI chat"], "presence_penalty", -2).verdict is Verdict.REFUSED
        assert told(ROUTES["TGI chat"], "presence_penalty", 0).verdict is Verdict.OFF
