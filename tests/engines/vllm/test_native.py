"""vLLM in a notebook's own process: what ``prepare`` makes ready, where, and what it says elsewhere."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import courselib
from courselib.engines.vllm import environment
from courselib.engines.vllm.environment import VllmEnvironment
from courselib.engines.vllm.native import QUIET, prepare
from courselib.errors import EngineMissing

ELSEWHERE = pytest.mark.skipif(environment.here() is not None, reason="vLLM is in the environment of the tests")
SAY = """
import json, os, warnings
warnings.simplefilter("error")
from courselib.engines.vllm.native import prepare
print(json.dumps([prepare(), dict(os.environ)]))
"""


@ELSEWHERE
def test_a_kernel_without_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSELIB_CACHE", str(tmp_path))
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    before = dict(os.environ)
    with pytest.raises(EngineMissing, match=r"vLLM is not installed; .* with: courselib install vllm$"):
        prepare()
    environment.folder().mkdir(parents=True)
    environment.finish(VllmEnvironment(sys.executable, "0.32.0", cpu=True))
    with pytest.raises(EngineMissing, match="not in this notebook's kernel; choose the kernel vLLM"):
        prepare()
    assert dict(os.environ) == before


@pytest.mark.slow
def test_its_own_kernel_is_quiet_and_has_the_model(installed):
    """In a process of vLLM's environment, where this very course is, too; the model is a folder or a repository."""
    options = {"capture_output": True, "text": True, "check": True}
    given = {name: value for name, value in os.environ.items() if name != environment.BIND}
    done = subprocess.run([installed.python, "-c", SAY], env=given, **options)
    model, variables = json.loads(done.stdout)
    assert (Path(model) / "config.json").exists() or model.count("/") == 1
    assert QUIET.items() <= variables.items()
    assert variables["VLLM_NO_USAGE_STATS"] == "1"
    assert (environment.BIND in variables) == installed.cpu
    assert Path(variables[environment.SOCKETS]).is_dir()
    where = subprocess.run([installed.python, "-c", "import courselib; print(courselib.__file__)"], **options).stdout
    assert Path(where.strip()).samefile(courselib.__file__)
