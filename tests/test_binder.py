"""The Binder image: what it would install resolves, from wheels alone, and leaves the packages of Binder's base."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernels.environments import read_pins

ROOT = Path(__file__).parents[1]


def name(pin):
    return re.sub(r"[-_.]+", "-", pin.split("==")[0]).lower()


def test_requirements_name_files_that_exist():
    lines = (ROOT / "binder/requirements.txt").read_text().splitlines()
    constraint = next(line.split()[1] for line in lines if line.startswith("-c"))
    pinned = {name(line) for line in (ROOT / "binder" / constraint).read_text().splitlines() if "==" in line}
    assert pinned and not pinned & {name(pin) for pin in read_pins("binder_base.txt")}
    assert "--only-binary=:all:" in lines
    assert (ROOT / "binder/runtime.txt").read_text().strip() == "python-3.11"


def test_post_build_fetches_the_model():
    script = ROOT / "binder/postBuild"
    assert script.stat().st_mode & 0o111
    done = subprocess.run(
        ["bash", str(script)], cwd=ROOT, capture_output=True, text=True, check=True,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(Path.home())},
    )  # fmt: skip
    assert Path(done.stdout.strip()).read_bytes()[:4] == b"GGUF"


@pytest.mark.slow
def test_requirements_resolve():
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    files = ["-r", "binder/requirements.txt", "-c", "tests/kernels/binder_base.txt"]
    done = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
