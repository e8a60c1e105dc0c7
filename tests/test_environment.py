"""What the machine is asked, with a fake of NVIDIA's program where there is no GPU; its answers have its format."""

import sys

import pytest

from courselib import environment
from courselib.environment import Gpu

FAKE_NVIDIA_SMI = """#!/bin/sh
echo "$1" >> "$0.asked"
[ -e "$0.broken" ] && exit 9
case "$1" in
  *compute_cap*) printf '8.9\\n7.5\\n' ;;
  *) printf 'NVIDIA L4, 23034\\nTesla T4, 15360\\n' ;;
esac
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the fake is a shell script")


@pytest.fixture
def fake_nvidia_smi(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(FAKE_NVIDIA_SMI)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return program


def asked(program):
    return program.with_name("nvidia-smi.asked").read_text().splitlines()


def test_gpus_are_asked_for_once_since_a_desk_asks_at_every_change(fake_nvidia_smi):
    for _time in range(3):
        assert environment.gpus() == [Gpu("NVIDIA L4", 23034), Gpu("Tesla T4", 15360)]
        assert environment.compute_capability() == 7.5
    assert len(asked(fake_nvidia_smi)) == 2


def test_a_driver_that_fails_is_asked_again(fake_nvidia_smi):
    broken = fake_nvidia_smi.with_name("nvidia-smi.broken")
    broken.touch()
    assert environment.gpus() == [] and environment.compute_capability() is None
    broken.unlink()
    assert len(environment.gpus()) == 2


def test_without_the_program_there_is_no_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.gpus() == [] and environment.compute_capability() is None
