"""Why vLLM failed, from lines it really wrote (0.32, recorded by making it fail), and from it as it fails now."""

import json
import shutil

import pytest

import courselib
from courselib import cgroup, errors
from courselib.engines.vllm.engine import ENGINE
from courselib.engines.vllm.model import find_model
from courselib.engines.vllm.settings import PreparedVllm
from courselib.processes.ports import free_port
from courselib.processes.process import GuardedProcess
from tests.engines.conftest import engines_alive
from tests.engines.vllm.test_log import LOG
from tests.ports import taken_port

RECORDED = {
    "OSError: [Errno 98] Address already in use": (errors.PortTaken, "port is in use"),
    "RuntimeError: Worker failed with error 'No common block size for 16 (CPU_ATTN: [MultipleOf(32)]).', please": (
        errors.SettingsError, "no block_size of 16 here",
    ),
    "ValueError: To serve at least one request with the model's max seq len (2048), (0.04 GiB KV cache is needed": (
        errors.OutOfMemory, "one request of 2048 tokens",
    ),
    "ValueError: Available memory on node 0 (14.79/16.46 GiB) on startup is less than desired CPU memory utilization": (
        errors.OutOfMemory, "Too little memory is free",
    ),
    "Value error, User-specified max_model_len (16384) is greater than the derived max_model_len"
    " (max_position_embeddings=8192.0 or model_max_length=None in model's config.json)": (
        errors.SettingsError, "max_model_len is 16384, but this model was trained for 8192 tokens",
    ),
    "Value error, max_num_batched_tokens (4) must be greater than or equal to max_num_seqs (8). [type=value_error": (
        errors.SettingsError, r"equal to max_num_seqs \(8\); raise",
    ),
    "Value error, Model architectures ['NoSuchForCausalLM'] are not supported for now. Supported architectures:": (
        errors.EngineDied, r"architecture \['NoSuchForCausalLM'\]",
    ),
    "has model type `nosuch` but Transformers does not recognize this architecture. This could be": (
        errors.EngineDied, "model type nosuch",
    ),
    "ValueError: Couldn't instantiate the backend tokenizer from one of:": (errors.ModelNotFound, "no tokenizer"),
    "SafetensorError: Error while deserializing header: incomplete metadata, file not fully covered": (
        errors.ModelCorrupt, "damaged or cut short",
    ),
    "AssertionError: Not enough allowed NUMA nodes to bind threads of 3 local CPUWorkers. Allowed NUMA nodes": (
        errors.SettingsError, "tensor_parallel_size is 3",
    ),
    "vllm: error: unrecognized arguments: --bogus": (errors.EngineDied, r"refuses an argument \(unrecognized"),
    "importlib.metadata.PackageNotFoundError: No package metadata was found for vllm": (
        errors.EngineMissing, "courselib install vllm",
    ),
    "RuntimeError: Failed to infer device type, please set the environment variable": (
        errors.EngineMissing, "courselib install vllm",
    ),
    "RuntimeError: operator torchvision::nms does not exist": (errors.EngineMissing, "courselib install vllm"),
}  # fmt: skip


@pytest.mark.parametrize("line", RECORDED)
def test_recorded_lines_become_sentences(line):
    kind, pattern = RECORDED[line]
    with pytest.raises(kind, match=pattern) as caught:
        raise ENGINE.diagnose(f"{LOG}\n{line}\nRuntimeError: Engine core initialization failed.", 1, "vllm serve")
    assert "{" not in caught.value.message
    assert "vllm serve" in caught.value.details


# As vLLM's source words what its parts report to each other; which came first is not in the log.
PROCESSES = {
    "Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore_DP0': -9}": (
        errors.OutOfMemory, "killed, most likely by the operating system because memory ran out",
    ),
    "ERROR Worker proc VllmWorker-0 died unexpectedly (exit code: -9), shutting down executor.": (
        errors.OutOfMemory, "killed, most likely",
    ),
    "Engine core initialization failed. See root cause above. Failed core proc(s): {'EngineCore_DP0': 1}": (
        errors.EngineDied, "names no cause that this course knows; read the log in the details. Perhaps memory ran out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("line", PROCESSES)
def test_a_part_that_is_killed_means_memory_and_one_that_ends_may(line, monkeypatch):
    monkeypatch.setattr(cgroup, "memory_limits", lambda: [cgroup.MemoryLimit(2 << 30, 0)])
    kind, words = PROCESSES[line]
    error = ENGINE.diagnose(f"{LOG}\n{line}", 1, "vllm serve")
    assert type(error) is kind
    assert words in error.message
    assert "this container may use 2.0 GiB" in error.message


def test_a_start_that_went_well_matches_no_cause():
    assert type(ENGINE.diagnose(LOG, 1, "vllm serve")) is errors.EngineDied
    assert "ended with exit code 1" in ENGINE.diagnose(LOG, 1, "vllm serve").message


def live(test):
    """Marks of a test that starts the engine."""
    return pytest.mark.engine(pytest.mark.slow(pytest.mark.timeout(300)(test)))


@pytest.fixture
def model(installed, tmp_path):
    """A copy of the model's folder, to be spoilt."""
    shutil.copytree(find_model("smollm2-135m", installed.python).folder, tmp_path / "model")
    return tmp_path / "model"


def _unknown_architecture(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["NoSuchForCausalLM"]}))


def _no_tokenizer(folder):
    for path in folder.glob("tokenizer*"):
        path.unlink()


@pytest.mark.parametrize(
    ("spoil", "kind", "pattern"),
    [
        (_unknown_architecture, errors.EngineDied, "does not know the architecture .*NoSuchForCausalLM"),
        (_no_tokenizer, errors.ModelNotFound, "no tokenizer that vLLM can read"),
    ],
)
@live
def test_what_only_the_engine_can_refuse(model, spoil, kind, pattern):
    spoil(model)
    before = engines_alive()
    with pytest.raises(kind, match=pattern) as caught:
        courselib.launch("vllm", model=str(model), max_model_len=1024)
    assert "exit code" in caught.value.details
    assert engines_alive() <= before


def failing(found, port, **settings):
    """What is said of a start that our own checks would have refused."""
    model = find_model("smollm2-135m", found.python).argument
    asked = PreparedVllm(model=model, python=found.python, enforce_eager=True, kv_cache_memory=2**28, **settings)
    command = ENGINE.command(asked, port=port, key="k")
    process = GuardedProcess(command.run, environment=command.environment, name="vllm")
    try:
        code = process.wait()
        return ENGINE.diagnose(process.logs(), code, command.line())
    finally:
        process.stop()


@live
def test_past_our_own_checks_the_engine_says_the_same(installed):
    error = failing(installed, free_port(), max_model_len=16384)
    assert type(error) is errors.SettingsError
    assert "trained for 8192 tokens" in error.message


@live
def test_a_port_that_was_taken_meanwhile(installed):
    with taken_port() as port:
        error = failing(installed, port, max_model_len=1024)
    assert type(error) is errors.PortTaken
