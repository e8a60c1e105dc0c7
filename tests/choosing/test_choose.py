"""Every combination of answers is ranked; each fact has its source; each launch line is one that its engine takes."""

import ast
import itertools

import pytest

from courselib.choosing.choose import QUESTIONS, Needs, launch_line, launch_settings, others, rank
from courselib.choosing.facts import ENGINES, FACTS, OTHERS, SOURCES
from courselib.engines.launcher import make_settings
from courselib.engines.registry import get_engine
from courselib.errors import SettingsError
from tests.engines.vllm.machines import H100, SMOLLM2, prepared

OPERATIONS = [(), ("kubernetes",), ("prometheus",), ("ray",), ("kubernetes", "prometheus", "ray")]


def all_needs():
    answers = [OPERATIONS if question == "operations" else list(options) for question, options in QUESTIONS.items()]
    for combination in itertools.product(*answers):
        yield Needs(**dict(zip(QUESTIONS, combination, strict=True)))


def order(**answers):
    return [verdict.engine for verdict in rank(Needs(**answers)) if not verdict.ruled_out]


def test_every_fact_has_a_source_with_an_address_or_a_record():
    used = {fact.source for fact in FACTS} | {other.source for other in OTHERS}
    assert used == SOURCES.keys()
    for key, source in SOURCES.items():
        assert source.title
        assert source.url.startswith("https://") or key.startswith("recorded") or key == "formula"


def test_every_fact_can_count():
    for fact in FACTS:
        assert fact.engine in ENGINES
        assert fact.points in (None, -2, -1, 0, 1, 2)
        assert fact.text.endswith(".")
        for question, answers in fact.when.items():
            assert set(answers) <= QUESTIONS[question].keys()


def test_every_answer_that_narrows_says_something():
    met = {(question, answer) for fact in FACTS for question, answers in fact.when.items() for answer in answers}
    silent = {(question, answer) for question, options in QUESTIONS.items() for answer in options} - met
    assert silent == {("licence", "any"), ("offline", "no")}


def test_every_combination_is_ranked():
    for needs in all_needs():
        ranking = rank(needs)
        assert {verdict.engine for verdict in ranking} == ENGINES.keys()
        outs = [verdict.ruled_out for verdict in ranking]
        assert outs == sorted(outs)
        fitting = [verdict.points for verdict in ranking if not verdict.ruled_out]
        assert fitting == sorted(fitting, reverse=True)
        if all(outs):  # only these exclude each other: llama.cpp's licence, and where nothing else runs
            assert needs.licence == "apache" or needs.hardware == "edge"
        for verdict in ranking:
            assert verdict.points == sum(fact.points or 0 for fact in verdict.facts)


def test_each_launch_line_is_one_its_engine_takes():
    engines = {name: get_engine(name) for name in ENGINES}
    lines = set()
    for needs in all_needs():
        for verdict in rank(needs):
            line = launch_line(verdict.engine, needs)
            if not verdict.ruled_out and line not in lines:
                lines.add(line)
                make_settings(engines[verdict.engine], launch_settings(verdict.engine, needs))
                ast.parse(line)
    assert len(lines) > 20


def test_the_usual_cases():
    assert order()[0] == "llama.cpp"
    assert order(hardware="gpu", users="many")[0] == "vllm"
    assert order(hardware="gpus", users="many", operations=("kubernetes", "ray"))[0] == "vllm"
    assert order(hardware="apple") == ["llama.cpp", "vllm"]
    assert order(hardware="edge") == ["llama.cpp"]
    assert order(hardware="gpu", model="large")[0] == "llama.cpp"
    assert order(hardware="amd", users="many")[0] == "vllm"
    assert order(licence="mit") == ["llama.cpp"]
    assert order(licence="apache")[0] == "vllm"
    assert order(offline="yes")[0] == "llama.cpp"
    assert "tgi" not in order(api="library")


def test_tgi_comes_first_only_for_its_own_protocol():
    best = [(rank(needs)[0], needs) for needs in all_needs()]
    first = [needs for verdict, needs in best if verdict.engine == "tgi" and not verdict.ruled_out]
    assert first
    assert {needs.api for needs in first} == {"tgi"}


def test_tgis_state_is_always_said():
    for needs in (Needs(), Needs(hardware="gpus", api="tgi")):
        verdict = next(verdict for verdict in rank(needs) if verdict.engine == "tgi")
        said = [fact.text for fact in verdict.facts if fact.changed]
        assert any("maintenance mode since December 2025" in text for text in said)
        assert any("vLLM, SGLang, llama.cpp and MLX" in text for text in said)


def test_several_gpus_share_a_model_whose_heads_they_can_divide():
    shared = launch_settings("vllm", Needs(hardware="gpus"))
    # As its model card has it.
    assert prepared(H100, {**SMOLLM2, "num_attention_heads": 32}, **without_model(shared)).tensor_parallel_size == 2
    with pytest.raises(SettingsError, match="does not divide the model's 9 attention heads"):
        prepared(H100, SMOLLM2, **without_model(shared))
    models = {launch_settings(engine, Needs(hardware="gpus"))["model"] for engine in ("vllm", "tgi")}
    assert models == {shared["model"]} == {"smollm2-1.7b"}
    assert launch_settings("llama.cpp", Needs(hardware="gpus"))["model"] == "smollm2-135m"


def without_model(settings):
    return {name: value for name, value in settings.items() if name != "model"}


def test_launch_lines():
    needs = Needs(hardware="gpus", users="many")
    line = 'server = courselib.launch("vllm", model="smollm2-1.7b", max_num_seqs=64, tensor_parallel_size=2)'
    assert line in launch_line("vllm", needs)
    assert 'courselib.native("smollm2-1.7b")' in launch_line("llama.cpp", Needs(api="library", model="medium"))
    assert 'LLM("HuggingFaceTB/SmolLM2-135M-Instruct")' in launch_line("vllm", Needs(hardware="gpu", api="library"))
    on_a_cpu = launch_line("vllm", Needs(hardware="laptop", api="library"))
    assert 'prepare("smollm2-135m")' in on_a_cpu and "kv_cache_memory_bytes=536870912" in on_a_cpu


def test_others():
    assert [other.name for other in others(Needs(hardware="apple"))] == ["Ollama", "MLX"]
    assert [other.name for other in others(Needs(hardware="gpu", users="many"))] == ["SGLang"]
    assert others(Needs(hardware="edge")) == ()


@pytest.mark.parametrize("answers", [{"hardware": "tpu"}, {"operations": ("nomad",)}, {"offline": "perhaps"}])
def test_an_answer_that_there_is_not(answers):
    with pytest.raises(SettingsError, match="choose one of"):
        Needs(**answers)
