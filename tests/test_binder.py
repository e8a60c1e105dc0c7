"""The Binder image: what it would install resolves, from wheels alone, on Binder's own Python."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_requirements_name_files_that_exist():
    lines = (ROOT / "binder/requirements.txt").read_text().splitlines()
    constraint = next(line.split()[1] for line in lines if line.startswith("-c"))
    assert (ROOT / "binder" / constraint).resolve() == ROOT / "constraints.txt"
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
    done = subprocess.run(
        [*command, "-r", "binder/requirements.txt"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
