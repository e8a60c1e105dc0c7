"""Each engine's pipeline against the plain references, composed here once more in that engine's order."""

import numpy as np
import pytest

from courselib.controls.controls import Controls
from courselib.errors import SettingsError
from courselib.gateway.translate import SAMPLERS
from courselib.sampling import PIPELINES, Context, llama_cpp, pipeline
from courselib.sampling.engines import GATEWAY_ORDER, LLAMA_CPP_ORDER, llama_cpp_native, tgi_gateway, transformers, vllm
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
    if engine in ("llama.cpp", "llama_cpp"):
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
        "llama_cpp": (context.output[-64:], context.output[-64:], False),
        "vllm": (both, context.output, False),
        "tgi": (both, both, True),
        "tgi-gateway": (both, both, False),
        "transformers": (both, (), False),
    }[engine]
    exact = engine in ("llama.cpp", "llama_cpp", "tgi-gateway")
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
        "llama_cpp": "logit_bias penalties top_k typical top_p min_p temperature",
        "vllm": "logit_bias penalties temperature min_p top_k top_p",
        "tgi": "penalties temperature top_k top_p typical",
        "tgi-gateway": "penalties temperature top_k top_p typical",
        "transformers": "logit_bias penalties ngram temperature top_k top_p min_p typical",
    }
    for step in orders[engine].split():
        if left:
            left = apply(step, left)
    return left


@pytest.mark.parametrize("engine", PIPELINES)
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
        with pytest.raises(SettingsError, match="no stage whose effect"):
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


def test_unknown_engines_are_refused():
    with pytest.raises(SettingsError, match=r"no pipeline for 'ollama'; there are llama\.cpp"):
        pipeline("ollama", Controls())
