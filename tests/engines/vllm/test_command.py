"""The command is a pure function of the settings: one golden line for each setting."""

import pytest

from courselib.engines.vllm.engine import ENGINE, VllmSettings
from courselib.engines.vllm.settings import PreparedVllm
from tests.engines.golden import check_golden, check_none_forgotten

BASE = {"model": "/models/smollm2", "served_model_name": "smollm2-135m"}


def command(**settings):
    return ENGINE.command(PreparedVllm(**{**BASE, **settings}), port=8000, key="secret")


def flags(**settings):
    return command(**settings).run[2:]


def test_whole_command():
    expected = "/models/smollm2 --served-model-name smollm2-135m --host 127.0.0.1 --port 8000 --dtype auto"
    assert command().run == ["vllm", "serve", *expected.split()]


GOLDEN = {
    "model": ("owner/model", ["owner/model"]),
    "served_model_name": (("mine", "dummy"), ["--served-model-name", "mine", "dummy"]),
    "host": ("0.0.0.0", ["--host", "0.0.0.0"]),
    "max_model_len": (1024, ["--max-model-len", "1024"]),
    "max_num_batched_tokens": (512, ["--max-num-batched-tokens", "512"]),
    "max_num_seqs": (16, ["--max-num-seqs", "16"]),
    "block_size": (64, ["--block-size", "64"]),
    "dtype": ("float32", ["--dtype", "float32"]),
    "gpu_memory_utilization": (0.85, ["--gpu-memory-utilization", "0.85"]),
    "kv_cache_memory": (256 * 2**20, ["--kv-cache-memory-bytes", "268435456"]),
    "enable_prefix_caching": (False, ["--no-enable-prefix-caching"]),
    "enforce_eager": (True, ["--enforce-eager"]),
    "max_logprobs": (-1, ["--max-logprobs", "-1"]),
    "logprobs_mode": ("raw_logits", ["--logprobs-mode", "raw_logits"]),
    "tensor_parallel_size": (2, ["--tensor-parallel-size", "2"]),
}
ELSEWHERE = {"port": "argument of command()", "api_key": "environment", "cpus": "environment", "python": "program"}


@pytest.mark.parametrize("name", GOLDEN)
def test_each_setting_changes_its_flag_and_nothing_else(name):
    check_golden(flags, name, *GOLDEN[name])


def test_no_setting_is_forgotten():
    check_none_forgotten(VllmSettings, GOLDEN, ELSEWHERE)


def test_names_end_where_a_flag_begins():
    words = flags(served_model_name=("a", "b"))
    assert words.index("/models/smollm2") == 0, "or it would be taken for a third name"
    assert words[words.index("b") + 1].startswith("--")


def test_key_is_in_the_environment_only():
    made = command()
    assert made.environment["VLLM_API_KEY"] == "secret"
    assert "secret" not in " ".join(made.run + made.shown)


def test_nothing_is_fetched_or_reported_while_it_runs():
    environment = command().environment
    assert (environment["HF_HUB_OFFLINE"], environment["VLLM_NO_USAGE_STATS"]) == ("1", "1")


def test_cores_are_shown_since_they_change_the_speed():
    made = command(cpus="0-1")
    assert made.environment["VLLM_CPU_OMP_THREADS_BIND"] == "0-1"
    assert made.line().startswith("VLLM_CPU_OMP_THREADS_BIND=0-1 vllm serve /models/smollm2 ")
    assert "VLLM_CPU_OMP_THREADS_BIND" not in command().environment


def test_no_compiler_is_shown_since_it_changes_when_answers_come():
    made = ENGINE.command(PreparedVllm(compiler=False, cpus="0-1"), port=1, key="k")
    assert made.environment["TORCHDYNAMO_DISABLE"] == "1"
    assert made.line().startswith("VLLM_CPU_OMP_THREADS_BIND=0-1 TORCHDYNAMO_DISABLE=1 vllm serve ")
    assert "TORCHDYNAMO_DISABLE" not in command().environment


def test_the_program_is_that_of_the_environment():
    assert command(python="/env/bin/python").run[:2] == ["/env/bin/vllm", "serve"]


def test_notes_reach_the_command():
    assert ENGINE.command(PreparedVllm(notes=("why",)), port=1, key="k").notes == ("why",)


def test_what_needs_no_vllm_is_not_tested_where_vllm_is(request):
    assert request.node.get_closest_marker("elsewhere") is None
