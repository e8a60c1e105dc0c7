"""What the machine is asked, with fakes of the programs that are not here, answering in their format."""

import platform

import pytest

from courselib import machine
from courselib.machine import Gpu

L4, T4 = Gpu("NVIDIA L4", 23034), Gpu("Tesla T4", 15360)
FAKE_NVIDIA_SMI = """#!/bin/sh
echo "$1" >> "$0.asked"
[ -e "$0.broken" ] && exit 9
case "$1" in
  *compute_cap*) printf '8.9\\n7.5\\n' ;;
  -L) printf 'GPU 0: NVIDIA L4 (UUID: GPU-1a2b)\\nGPU 1: Tesla T4 (UUID: GPU-1c3d)\\n'
      printf '  MIG 1g.5gb     Device  0: (UUID: MIG-77aa)\\n  MIG 1g.5gb     Device  1: (UUID: MIG-77bb)\\n' ;;
  *) printf 'NVIDIA L4, 23034\\nTesla T4, 15360\\n' ;;
esac
"""
FAKE_SYSCTL = """#!/bin/sh
case "$2" in
  hw.perflevel0.physicalcpu) echo 4 ;;
  machdep.cpu.brand_string) echo Apple M2 ;;
  *) exit 1 ;;
esac
"""

needs_shell = pytest.mark.skipif(platform.system() == "Windows", reason="the fakes are shell scripts")


@pytest.fixture(autouse=True)
def nothing_hidden(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def fake_program(tmp_path, monkeypatch):
    """Puts a shell script before all programs."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def make(name, text):
        program = tmp_path / name
        program.write_text(text)
        program.chmod(0o755)
        return program

    return make


@pytest.fixture
def fake_nvidia_smi(fake_program):
    return fake_program("nvidia-smi", FAKE_NVIDIA_SMI)


@pytest.fixture
def fake_mac(fake_program, monkeypatch):
    """Apple silicon with four performance and four efficiency cores, as far as this module asks."""
    fake_program("sysctl", FAKE_SYSCTL)
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    monkeypatch.setattr(machine, "cores", lambda: 8)


def asked(program):
    return program.with_name("nvidia-smi.asked").read_text().splitlines()


@needs_shell
def test_gpus_are_asked_for_once_since_a_desk_asks_at_every_change(fake_nvidia_smi):
    for _time in range(3):
        assert machine.gpus() == [L4, T4]
        assert machine.compute_capability() == 7.5
    assert len(asked(fake_nvidia_smi)) == 2


@needs_shell
def test_a_driver_that_fails_is_asked_again(fake_nvidia_smi):
    broken = fake_nvidia_smi.with_name("nvidia-smi.broken")
    broken.touch()
    assert machine.gpus() == [] and machine.compute_capability() is None
    broken.unlink()
    assert len(machine.gpus()) == 2


def test_without_the_program_there_is_no_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.gpus() == [] and machine.compute_capability() is None


@needs_shell
@pytest.mark.parametrize("memory", ["[N/A]", "[Not Supported]", "N/A"])
def test_a_gpu_whose_memory_is_the_systems_is_there(fake_program, memory):
    fake_program("nvidia-smi", f"#!/bin/sh\necho 'NVIDIA GB10, {memory}'\n")
    assert machine.gpus() == [Gpu("NVIDIA GB10", None)]


@needs_shell
@pytest.mark.parametrize(
    ("visible", "gpus", "capability"),
    [
        ("", [], None),
        (" ", [], None),
        ("-1", [], None),
        ("NoDevFiles", [], None),
        ("0", [L4], 8.9),
        ("1", [T4], 7.5),
        ("1,0", [T4, L4], 7.5),
        ("0, 1", [L4, T4], 7.5),
        ("0,-1,1", [L4], 8.9),  # CUDA reads up to the first that is none
        ("7", [], None),
        ("GPU-1c3d", [T4], 7.5),
        ("GPU-1c", [T4], 7.5),
        ("GPU-9", [], None),
        ("MIG-77bb", [Gpu("Tesla T4", None)], 7.5),
        ("1,MIG-77aa", [T4, Gpu("Tesla T4", None)], 7.5),
    ],
)
def test_gpus_hidden_from_cuda_do_not_count(fake_nvidia_smi, monkeypatch, visible, gpus, capability):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert machine.gpus() == gpus
    assert machine.compute_capability() == capability


@needs_shell
def test_what_a_container_was_not_given_is_the_drivers_to_say(fake_program, fake_nvidia_smi, monkeypatch):
    # Containers started by CDI have the word void, and GPUs.
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", "void")
    assert machine.gpus() == [L4, T4]
    fake_program("nvidia-smi", "#!/bin/sh\necho 'No devices were found'\n")
    machine._answer_once.cache_clear()
    assert machine.gpus() == []


@needs_shell
def test_a_container_gets_the_gpus_that_are_not_hidden(fake_nvidia_smi, monkeypatch):
    from courselib.engines.tgi.engine import _choose_image
    from courselib.engines.tgi.settings import TgiSettings

    assert _choose_image(TgiSettings()).gpus == "all"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert _choose_image(TgiSettings()).gpus == '"device=1,0"'
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert _choose_image(TgiSettings()).gpus is None


@needs_shell
def test_apple_silicon(fake_mac):
    from courselib.engines.llamacpp.engine import default_threads

    assert machine.cpu_name() == "Apple M2"
    assert machine.apple_gpu() == Gpu("Apple M2", None)
    assert (machine.fast_cores(), default_threads()) == (4, 3)
    assert machine.gpus() == []


@needs_shell
def test_the_desk_of_llama_cpp_has_gpu_layers_on_apple_silicon_and_no_other_desk(fake_mac):
    from courselib.panels.desks.llamacpp import LlamaCppDesk
    from courselib.panels.desks.vllm import VllmDesk

    assert LlamaCppDesk().has_gpu() and not VllmDesk().has_gpu()


def test_elsewhere_there_is_no_apple_gpu(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    assert machine.apple_gpu() is None


def test_two_logical_processors_of_one_core_count_once(monkeypatch, tmp_path):
    for number in range(8):
        folder = tmp_path / f"cpu{number}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(f"{number % 4},{number % 4 + 4}\n")
    monkeypatch.setattr(machine, "CPUS", tmp_path)
    for usable, fast in (({*range(8)}, 4), ({0, 4}, 1), ({0, 1, 4, 5}, 2), ({3}, 1)):
        monkeypatch.setattr(machine, "usable_cpus", lambda usable=usable: sorted(usable))
        monkeypatch.setattr(machine, "cores", lambda usable=usable: len(usable))
        assert machine.fast_cores() == fast
    monkeypatch.setattr(machine, "cores", lambda: 3)
    monkeypatch.setattr(machine, "usable_cpus", lambda: [*range(8)])
    assert machine.fast_cores() == 3
