"""A module of ours runs as ``python -m`` runs it, and without anything of a learner's folder."""

import json
import os
import subprocess
import sys

import pytest

from courselib.processes.python import python_module
from tests.learners_folder import SAYS, learners_folder

SHOWS = """\
import json, sys
import {imports}
print(json.dumps([__name__, sys.argv[1:], {imports}.__file__, sys.path]))
sys.exit(3)
"""


@pytest.fixture
def folder(tmp_path):
    return learners_folder(tmp_path / "a learner's folder")


@pytest.fixture
def package(tmp_path):
    """A folder for PYTHONPATH with a package that shows how it was run."""
    place = tmp_path / "packages"
    (place / "shown").mkdir(parents=True)
    (place / "shown" / "__init__.py").write_text("")
    (place / "shown" / "__main__.py").write_text(SHOWS.format(imports="argparse"))
    return place


def run(words, folder, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        words, cwd=folder, env=clean | environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("more", [{}, {"PYTHONSAFEPATH": "1"}], ids=["plain", "safe path"])
def test_a_package_runs_as_with_m_but_for_the_current_folder(folder, package, more):
    done = run([*python_module("shown"), "-x", "a b"], folder, PYTHONPATH=str(package), **more)
    assert done.returncode == 3, done.stderr
    name, arguments, argparse, path = json.loads(done.stdout)
    assert (name, arguments) == ("__main__", ["-x", "a b"])
    expected = run([sys.executable, "-c", "import sys; print(sys.path)"], package, PYTHONPATH=str(package))
    assert str(path) == expected.stdout.strip().replace("['', ", "[")
    assert str(folder) not in argparse


def test_a_learners_folder_would_be_imported_without_it(folder, package):
    done = run([sys.executable, "-m", "shown"], folder, PYTHONPATH=str(package))
    assert SAYS in done.stderr


@pytest.mark.parametrize("name", ["pip", "jupyterlab"])
def test_programs_of_others_start(folder, name):
    pytest.importorskip(name)
    done = run([*python_module(name), "--version"], folder)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout
