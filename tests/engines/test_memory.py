"""The memory that a container allows is what engines are checked against, and what a killed one is explained with."""

import signal
import sys

import psutil
import pytest

import courselib
from courselib import cgroup, models
from courselib.cgroup import MemoryLimit
from courselib.engines.llamacpp.engine import ENGINE
from courselib.engines.llamacpp.settings import LlamaCppSettings
from courselib.engines.registry import engine_names, get_engine
from courselib.errors import EngineDied, OutOfMemory

MIB, GIB = 1 << 20, 1 << 30
LOG = "load_tensors: loading model tensors\n..........\n"


@pytest.fixture
def limited(monkeypatch):
    """Lets this process use 2 GiB, of which the given bytes are used."""

    def limit(used):
        monkeypatch.setattr(cgroup, "memory_limits", lambda: [MemoryLimit(2 * GIB, used)])

    return limit


@pytest.mark.parametrize("name", engine_names())
@pytest.mark.parametrize("code", [137, -9])
def test_an_engine_that_was_killed_most_likely_ran_out_of_memory(limited, name, code):
    limited(GIB)
    error = get_engine(name).diagnose(LOG, code, "serve")
    assert type(error) is OutOfMemory
    assert error.message.startswith(f"{name} was killed (exit code {code}), most likely by the operating system")
    assert "this container may use 2.0 GiB" in error.message and LOG.strip() in error.details


def test_without_a_limit_the_machines_memory_is_named(monkeypatch):
    monkeypatch.setattr(cgroup, "memory_limits", list)
    total = psutil.virtual_memory().total / GIB
    assert f"this machine has {total:.1f} GiB" in ENGINE.diagnose(LOG, 137, "serve").message


def test_a_cause_in_the_log_goes_before_the_exit_code(limited):
    limited(GIB)
    assert "KV cache does not fit" in ENGINE.diagnose("failed to allocate buffer for kv cache", 137, "serve").message


@pytest.mark.parametrize("code", [1, 0, 139, 143, None])
def test_other_exit_codes_are_not_taken_for_memory(code):
    assert type(ENGINE.diagnose(LOG, code, "serve")) is EngineDied


def test_llama_cpps_context_is_compared_with_what_the_container_allows(limited, monkeypatch):
    settings = LlamaCppSettings(model=str(models.resolve("smollm2-135m")), context=4096, gpu_layers=0)
    limited(GIB)
    ENGINE.prepare(settings)  # 90 MiB of KV cache
    limited(2 * GIB - 50 * MIB)
    with pytest.raises(OutOfMemory, match="only 50 MiB of memory are free; lower context to"):
        ENGINE.prepare(settings)


@pytest.mark.skipif(sys.platform == "win32", reason="vLLM does not run there")
def test_vllms_memory_is_what_the_container_allows(limited, monkeypatch):
    from courselib.engines.vllm.checks import check_machine
    from courselib.engines.vllm.environment import VllmEnvironment
    from courselib.engines.vllm.machine import choose, look
    from courselib.engines.vllm.settings import VllmSettings

    monkeypatch.setattr("courselib.machine.cpu_features", lambda: ["avx2"])
    limited(GIB)
    here = look(VllmEnvironment(sys.executable, "0.32.0", cpu=True))
    assert (here.total, here.free) == (2 * GIB, GIB)
    with pytest.raises(OutOfMemory, match="takes 2048 MiB before any model, but 1024 MiB are free"):
        check_machine(choose(VllmSettings(), here), here)


@pytest.mark.engine
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_server_that_is_killed_from_outside():
    with courselib.launch("llama.cpp", context=256) as server:
        psutil.Process(server.pid).send_signal(signal.SIGKILL)
        assert type(server.engine.diagnose(server.logs(), server.wait(), server.command)) is OutOfMemory
