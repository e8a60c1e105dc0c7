"""Each engine's pipeline against the plain references, composed here in the order of that engine's source.

That these orders are the engines' own, the tests on engines show: ``test_llama_cpp_samplers`` runs the chain that the
library makes for itself, ``test_torch_engines`` the code of vLLM and TGI, and the live tests ask servers.
"""

from dataclasses import replace

import numpy as np
import pytest

from courselib.controls.controls import Controls
from courselib.errors import SettingsError
from courselib.gateway.translate import SAMPLERS
from courselib.sampling import PIPELINES, Context, LogProbabilities, ServerSampling, llama_cpp, pipeline
from courselib.sampling.context import LLAMA_CPP_ORDER
from courselib.sampling.engines import GATEWAY_ORDER, llama_cpp_native, tgi_gateway, transformers, vllm
from tests.sampling import cases, reference

STAGES = ("temperature", "top_k", "top_p", "min_p", "typical_p")


def controls(random, size):
    """Controls drawn across their range, each left out now and then."""
    values = {
        "temperature": float(random.choice([0, 0.005, random.uniform(0.1, 2)], p=[0.1, 0.05, 0.85])),
        "top_k": int(random.integers(0, size + 3)),
        "top_p": float(random.uniform(0.01, 1)),
        "min_p": float(random.uniform(0, 0.3)),
        "typical_p": float(random.uniform(0.01, 1)),
        "repetition_penalty": float(random.uniform(0.5, 2)),
        "presence_penalty": float(random.uniform(-2, 2)),
        "frequency_penalty": float(random.uniform(-2, 2)),
        "no_repeat_ngram_size": int(random.integers(0, 4)),
        "dry_multiplier": float(random.uniform(0, 2)),
        "dry_base": float(random.uniform(1, 3)),
        "dry_allowed_length": int(random.integers(0, 4)),
        "logit_bias": {int(token): float(random.uniform(-5, 5)) for token in random.integers(0, size, 2)},
    }
    return Controls(**{name: value for name, value in values.items() if random.random() < 0.7})


def expected(engine, given, context, left):
    """What an engine's stages make of a row, told in its order."""
    of = {
        "temperature": 1, "top_k": 0, "top_p": 1, "min_p": 0, "typical_p": 1, "repetition_penalty": 1,
        "presence_penalty": 0, "frequency_penalty": 0, "no_repeat_ngram_size": 0, "dry_multiplier": 0,
        "dry_base": 1.75, "dry_allowed_length": 2, "logit_bias": {},
    }  # fmt: skip
    if engine == "llama.cpp":
        of |= {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05}
    if engine == "transformers":
        of |= {"top_k": 50}
    of |= given.given()
    chance = {"top_k": 0, "top_p": 1, "typical_p": 1}
    if engine in ("tgi", "tgi-gateway") and given.temperature is None:
        of["temperature"] = int(any(of[name] != off for name, off in chance.items()))
    both = context.prompt + context.output
    penalised = {
        "llama.cpp": (both[-64:], both[-64:], False),
        "vllm": (both, context.output, False),
        "tgi": (both, both, True),
        "tgi-gateway": (both, both, False),
        "transformers": (both, (), False),
    }[engine]
    exact = engine in ("llama.cpp", "tgi-gateway")
    presence = 0 if engine in ("tgi", "tgi-gateway") else of["presence_penalty"]

    def apply(step, left):
        if step == "logit_bias":
            return reference.logit_bias(left, of["logit_bias"])
        if step == "penalties":
            return reference.penalties(left, of["repetition_penalty"], presence, of["frequency_penalty"], *penalised)
        if step == "ngram":
            return reference.no_repeat_ngram(left, of["no_repeat_ngram_size"], both)
        if step == "dry":
            numbers = of["dry_multiplier"], of["dry_base"], of["dry_allowed_length"]
            return reference.dry(left, *numbers, both[-64:], context.breakers)
        if step == "top_k":
            return reference.top_k(left, of["top_k"], not exact)
        if step == "top_p":
            return reference.top_p(left, of["top_p"], 1)
        if step == "min_p":
            return reference.min_p(left, of["min_p"], 1)
        if step == "typical":
            return reference.typical(left, of["typical_p"], not exact, 1)
        if of["temperature"] == 0:
            return reference.greedy(left)
        least = 0.01 if engine == "vllm" else 0
        return reference.temperature(left, max(least, of["temperature"]))

    orders = {
        "llama.cpp": "logit_bias penalties dry top_k typical top_p min_p temperature",
        "vllm": "logit_bias penalties temperature min_p top_k top_p",
        "tgi": "penalties temperature top_k top_p typical",
        "tgi-gateway": "penalties temperature top_k top_p typical",
        "transformers": "logit_bias penalties ngram temperature top_k top_p min_p typical",
    }
    for step in orders[engine].split():
        if left:
            left = apply(step, left)
    return left


@pytest.mark.parametrize("engine", [engine for engine in PIPELINES if engine != "llama_cpp"])
def test_every_pipeline_agrees_with_the_plain_references(engine):
    for i, row in enumerate(cases.rows(full=0)):
        random = np.random.default_rng(i)
        given = controls(random, row.size)
        breakers = tuple((int(token),) for token in random.integers(0, row.size, 2))
        context = Context(cases.tokens(random, row.size), cases.tokens(random, row.size), breakers=breakers)
        left = expected(engine, given, context, cases.left_of(row))
        if not left:
            with pytest.raises(SettingsError, match="leaves no token"):
                pipeline(engine, given, context).run(row)
            continue
        shares = reference.probabilities(left)
        wanted = np.array([shares.get(token, 0.0) for token in range(row.size)])
        np.testing.assert_allclose(
            pipeline(engine, given, context).probabilities(row), wanted, rtol=1e-6, atol=1e-9, err_msg=f"{i} {given}"
        )


def names(pipeline):
    return [stage.name for stage in pipeline.stages]


def test_llama_cpp_takes_any_order_by_names_and_by_letters():
    usual = llama_cpp(Controls())
    assert names(usual)[2:] == [{"typ_p": "typical_p"}.get(name, name) for name in LLAMA_CPP_ORDER]
    assert llama_cpp(Controls(), order="edskypmxt").stages == usual.stages
    assert names(llama_cpp(Controls(), order=["temperature", "typical_p"]))[2:] == ["temperature", "typical_p"]
    assert names(llama_cpp(Controls(), order=[]))[2:] == []
    for order in (["mirostat"], "z", ["infill"]):
        with pytest.raises(SettingsError, match="not a stage whose effect"):
            llama_cpp(Controls(), order=order)


def test_an_order_of_nothing_is_the_model_itself():
    row = np.array([1.0, 2.0, 3.0])
    weights = np.exp(row)
    np.testing.assert_allclose(llama_cpp(Controls(), order=[]).probabilities(row), weights / weights.sum())


def test_the_gateway_asks_llama_cpp_for_the_order_that_is_predicted():
    assert list(GATEWAY_ORDER) == SAMPLERS
    every = Controls(temperature=0.7, top_k=3, top_p=0.9, typical_p=0.8, repetition_penalty=1.2, frequency_penalty=0.3)
    context = Context((0, 1, 1), (2,))
    chain = llama_cpp(every, context, order=GATEWAY_ORDER).stages[2:]
    assert [stage.rule for stage in tgi_gateway(every, context).stages] == [stage.rule for stage in chain]


def test_the_same_settings_leave_other_tokens_in_another_order():
    # Geometric, so that it can be reckoned by hand: llama.cpp needs exp(-n/4) <= 1 - 0.7 (1 - exp(-5)), n >= 4.75;
    # vLLM, with 18 tokens left by min_p, exp(-n/6) <= 1 - 0.7 (1 - exp(-3)), n >= 6.56.
    row = -0.25 * np.arange(100.0)
    given = Controls(temperature=1.5, top_p=0.7, top_k=20, min_p=0.05)
    ours, theirs = (pipeline(engine, given).run(row).end.survivors for engine in ("llama.cpp", "vllm"))
    assert (ours, theirs) == (5, 7)


def test_what_an_engine_does_not_have_is_told():
    given = Controls(typical_p=0.5, no_repeat_ngram_size=3, min_p=0.1, dry_multiplier=0, presence_penalty=0)
    assert vllm(given).ignored == ("typical_p", "no_repeat_ngram_size")
    assert llama_cpp(given).ignored == ("no_repeat_ngram_size",)
    assert pipeline("tgi", given).ignored == ("min_p", "no_repeat_ngram_size")
    assert transformers(given).ignored == ()


def test_vllm_raises_low_temperatures_and_says_so():
    low = vllm(Controls(temperature=0.001))
    assert "0.01" in low.notes[0]
    assert low.stages[3].temperature == 0.01
    assert vllm(Controls(temperature=0)).notes == ()


def test_ends_are_forbidden_as_long_as_each_engine_forbids_them():
    row = np.zeros(3)
    context = Context(output=(0,), ends=(2,))
    for engine, given, forbids in (
        ("vllm", Controls(min_tokens=2), True),
        ("vllm", Controls(min_tokens=1), False),
        ("vllm", Controls(ignore_eos=True), False),
        ("transformers", Controls(min_tokens=2), True),
        ("llama.cpp", Controls(ignore_eos=True), True),
        ("llama.cpp", Controls(min_tokens=2), False),
    ):
        assert (pipeline(engine, given, context).probabilities(row)[2] == 0) == forbids, (engine, given)


def test_tgi_is_greedy_unless_a_control_asks_for_chance():
    row = np.log([0.5, 0.3, 0.2])
    for engine in ("tgi", "tgi-gateway"):
        survivors = lambda **given: pipeline(engine, Controls(**given)).run(row).end.survivors  # noqa: B023, E731
        assert survivors() == survivors(temperature=0) == survivors(repetition_penalty=2) == survivors(top_p=1) == 1
        assert survivors(temperature=1) == survivors(top_k=3) == survivors(typical_p=0.99) == 3


def test_native_chat_has_a_temperature_of_its_own():
    assert llama_cpp_native(Controls(), chat=True).stages[-1].temperature == 0.2


def test_undefined_typical_is_noted():
    given = Controls(typical_p=0.5, top_p=1.0, min_p=0.0)
    assert "not defined" in llama_cpp(given, top_n_sigma=1).notes[0]
    assert "not defined" in llama_cpp(given.with_(ignore_eos=True), Context(ends=(0,))).notes[0]
    assert llama_cpp(given).notes == ()
    assert llama_cpp(given, top_n_sigma=1, order=["top_n_sigma", "min_p", "typ_p"]).notes != ()
    low = given.with_(min_p=0.1)
    assert llama_cpp(low, top_n_sigma=1, order=["top_n_sigma", "min_p", "typ_p"]).notes == ()


def test_the_library_at_temperature_0_cuts_nothing_before_it_takes_the_likeliest():
    row = np.log(np.array([0.4] + [0.05] * 12))
    given = Controls(temperature=0, typical_p=0.3, top_k=0, repetition_penalty=9)
    assert llama_cpp_native(given).probabilities(row).argmax() == 0
    assert names(llama_cpp_native(given)) == ["logit_bias", "penalties", "greedy"]
    assert llama_cpp(given).probabilities(row).argmax() != 0  # the server cuts first


def test_tgi_at_temperature_0_has_no_stage_on_that_is_not_sent():
    stages = pipeline("tgi", Controls(temperature=0, top_k=5, top_p=0.5, typical_p=0.5)).stages
    assert [stage.name for stage in stages if stage.is_on] == ["greedy"]


def test_a_repetition_penalty_refuses_log_probabilities_on_every_engine():
    logits = np.array([2.0, 1.0, 0.5, -1.0])
    logprobs = LogProbabilities.of(logits - np.log(np.exp(logits).sum()))
    context = Context(prompt=(0,), output=(0,))
    others = {"presence_penalty": 0.3, "frequency_penalty": 0.2, "dry_multiplier": 1, "top_k": 3}
    for engine in PIPELINES:
        penalised = pipeline(engine, Controls(temperature=1, repetition_penalty=1.5), context)
        with pytest.raises(SettingsError, match="divides logits, and this engine returned log-probabilities"):
            penalised.run(logprobs)
        penalised.run(logits)
        # What only adds is the same from both.
        added = pipeline(engine, Controls(temperature=1, **others), context)
        np.testing.assert_allclose(added.probabilities(logprobs), added.probabilities(logits))
        # A penalty that meets no token changes nothing.
        pipeline(engine, Controls(temperature=1, repetition_penalty=1.5), Context()).run(logprobs)


def test_log_probabilities_are_refused_after_any_other_stage():
    row = LogProbabilities.of(np.log([0.5, 0.3, 0.2]))
    given = Controls(repetition_penalty=1.5, logit_bias={2: 1.0}, top_k=2)
    for order in (["penalties"], ["top_k", "penalties"], ["temperature", "penalties"]):
        with pytest.raises(SettingsError, match="divides logits"):
            llama_cpp(given, Context(prompt=(0,)), order=order).run(row)


class TestWhatAServerAppliesByItself:
    def test_its_stages_their_order_and_their_values(self):
        own = ServerSampling("llama.cpp", ("temperature", "top_k", "xtc"), xtc_probability=0.4, top_n_sigma=1.5)
        made = pipeline("llama.cpp", Controls(), Context(server=own))
        assert names(made)[2:] == ["temperature", "top_k", "xtc"]
        assert made.stages[-1].probability == 0.4
        wider = llama_cpp(Controls(), Context(server=own), order=["top_n_sigma"], top_n_sigma=2.0)
        assert [stage.n for stage in wider.stages[2:]] == [2.0]

    def test_its_windows(self):
        row, given = np.zeros(9), Controls(presence_penalty=1, dry_multiplier=1)
        context = Context(prompt=(1, 2, 3), output=(4,))

        def counted(**windows):
            own = ServerSampling("llama.cpp", **windows)
            _bias, _end, penalties, dry, *_rest = pipeline("llama.cpp", given, replace(context, server=own)).stages
            return penalties.counted, dry.context

        assert counted(repeat_last_n=2, dry_penalty_last_n=3) == ((3, 4), (2, 3, 4))
        assert counted(repeat_last_n=0, dry_penalty_last_n=0) == ((), ())
        assert counted(repeat_last_n=-1, dry_penalty_last_n=-1) == ((1, 2, 3, 4), (1, 2, 3, 4))
        llama_cpp(given, context, repeat_last_n=0).run(row)

    @pytest.mark.parametrize("setting", [{"mirostat": 2}, {"dynatemp_range": 0.5}])
    def test_what_cannot_be_predicted_is_refused(self, setting):
        own = ServerSampling("llama.cpp", **setting)
        with pytest.raises(SettingsError, match=f"started with {next(iter(setting))}="):
            pipeline("llama.cpp", Controls(), Context(server=own))
        assert llama_cpp(Controls(), Context(server=own), **dict.fromkeys(setting, 0))
        with pytest.raises(SettingsError, match="not a stage whose effect"):
            pipeline("llama.cpp", Controls(), Context(server=ServerSampling("llama.cpp", ("adaptive_p",))))

    def test_what_is_not_known_is_noted_for_that_engine_alone(self):
        context = Context(server=ServerSampling("vllm", notes=("It may differ.",)))
        assert pipeline("vllm", Controls(), context).notes == ("It may differ.",)
        assert pipeline("llama.cpp", Controls(), context).notes == ()


def test_unknown_engines_are_refused():
    with pytest.raises(SettingsError, match=r"no pipeline for 'ollama'; there are llama\.cpp"):
        pipeline("ollama", Controls())
