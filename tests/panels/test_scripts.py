"""The panels' scripts: their pure functions, run by node where there is one."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "js"


def test_their_pure_functions():
    node = shutil.which("node")
    if not node:
        pytest.skip("there is no node here, which runs the scripts' tests")
    tests = sorted(str(path) for path in HERE.glob("*.test.mjs"))
    done = subprocess.run([node, "--test", *tests], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
