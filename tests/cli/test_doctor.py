"""What doctor finds on machines that are not this one."""

import os
import sys
from importlib import metadata

import pytest

from courselib import machine
from courselib.cli import doctor
from courselib.cli.doctor import State
from courselib.machine import Gpu, Memory

GIB = 1 << 30
LIMIT = "GiB allowed are free (limit of this container)"


@pytest.mark.parametrize(
    ("memory", "state", "text"),
    [
        (Memory(16 * GIB, 9 * GIB, limited=False), State.OK, "9.0 of 16.0 GiB free"),
        (Memory(2 * GIB, 3 * GIB // 2, limited=True), State.OK, f"1.5 of 2.0 {LIMIT}"),
        (Memory(2 * GIB, GIB // 2, limited=True), State.BROKEN, f"0.5 of 2.0 {LIMIT}"),
        (Memory(16 * GIB, GIB // 2, limited=False), State.BROKEN, "0.5 of 16.0 GiB free"),
    ],
)  # fmt: skip
def test_memory(monkeypatch, memory, state, text):
    monkeypatch.setattr(machine, "memory", lambda: memory)
    finding = doctor._memory()
    assert (finding.state, finding.text) == (state, text)
    assert ("1 GiB" in finding.remedy) == (state is State.BROKEN)


@pytest.mark.parametrize(
    ("quota", "words"),
    [
        (None, ", 16 cores; "),
        (0.5, ", 0.5 of 16 cores allowed (limit of this container); "),
        (2.0, ", 2 of 16 cores allowed (limit of this container); "),
        (64.0, ", 16 cores; "),
    ],
)
def test_cores(monkeypatch, quota, words):
    monkeypatch.setattr(machine, "usable_cpus", lambda: list(range(16)))
    monkeypatch.setattr("courselib.cgroup.cpu_quota", lambda: quota)
    assert words in doctor._cpu().text


@pytest.mark.parametrize(
    ("gpus", "apple", "visible", "state", "words"),
    [
        ([Gpu("NVIDIA L4", 23034)], None, None, State.OK, "NVIDIA L4 (23034 MiB)"),
        ([Gpu("NVIDIA GB10", None)], None, None, State.OK, "NVIDIA GB10 (memory unknown)"),
        ([], Gpu("Apple M2"), None, State.OK, "Apple M2, used by llama.cpp through Metal"),
        ([], None, {}, State.ABSENT, "CUDA_VISIBLE_DEVICES"),
        ([], None, None, State.ABSENT, "everything runs on the CPU"),
    ],
)
def test_gpu(monkeypatch, gpus, apple, visible, state, words):
    monkeypatch.setattr(machine, "gpus", lambda: gpus)
    monkeypatch.setattr(machine, "apple_gpu", lambda: apple)
    monkeypatch.setattr(machine, "visible_gpus", lambda: visible)
    finding = doctor._gpu()
    assert finding.state is state and words in finding.text


@pytest.mark.skipif(sys.platform == "win32", reason="there users are known otherwise")
@pytest.mark.parametrize("vllm_asked", [False, True])
def test_a_user_without_a_home_folder(monkeypatch, vllm_asked):
    import pwd

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for variable in ("HOME", "XDG_CACHE_HOME", "COURSELIB_CACHE", "COURSELIB_VLLM_PYTHON"):
        monkeypatch.delenv(variable, raising=False)
    if vllm_asked:
        monkeypatch.setenv("COURSELIB_VLLM_PYTHON", "/no/python")
    findings = doctor.examine()
    (cache,) = (finding for finding in findings if finding.subject == "cache")
    assert cache.state is State.BROKEN and "no home folder" in cache.text and "COURSELIB_CACHE" in cache.remedy
    assert {finding.state for finding in findings if finding.subject == "model"} == {State.ABSENT}


def test_the_builders_are_those_of_the_packages_own_metadata():
    (sentence,) = [text for text in doctor.BUILDERS if text.startswith("xllamacpp ")]
    addresses = metadata.metadata("xllamacpp").get_all("Project-URL")
    assert sentence.split()[4].rstrip(";") in {address.partition(", ")[2] for address in addresses}
    assert len(doctor._builders()) == len(doctor.BUILDERS)


@pytest.mark.parametrize(
    ("memory", "words"),
    [
        (Memory(64 * GIB, GIB, limited=False), "64 GiB of memory, "),
        (Memory(2 * GIB, GIB, limited=True), "2.0 GiB of memory, "),
        (Memory(700 << 20, GIB, limited=True), "0.7 GiB of memory, "),
    ],
)
def test_the_first_cell_names_the_memory_that_is_allowed(monkeypatch, capsys, memory, words):
    from courselib import notebook

    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setattr(notebook, "memory", lambda: memory)
    monkeypatch.setattr(notebook, "gpus", list)
    monkeypatch.setattr(notebook, "apple_gpu", lambda: Gpu("Apple M2"))
    notebook.setup()
    assert words + "Apple M2 (Metal)" in capsys.readouterr().out
