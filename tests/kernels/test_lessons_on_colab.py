"""A lesson in the stand-in for Colab. ``make colab`` runs all of them, and the installation as well."""

import os
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from tests.kernels.environments import ROOT, kernel_python
from tests.kernels.lessons import colab_environment
from tests.kernels.notebook_run import MIB, run_notebook

GOLDEN = {"tags": ["nbval-check-output"]}


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.elsewhere
def test_lesson_00_runs_on_colab_and_turns_on_its_widget_manager(tmp_path):
    python = kernel_python("colab")
    notebook = nbformat.read(ROOT / "notebooks/en/00_start_here.ipynb", as_version=4)
    notebook.cells.append(new_code_cell("from google.colab import output\noutput.custom_widget_manager"))
    run = run_notebook(notebook, "00", [str(python)], tmp_path, colab_environment(python))
    assert run.failure == ""
    assert notebook.cells[-1].outputs[0].data["text/plain"] == "True"
    assert 0 < run.first_server < run.seconds
    assert run.peak > 100 * MIB


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("print(1 + 1)", ""),
        ("print(1 + 2)", "other golden output of the cell that begins with print(1 + 2)"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_what_counts_as_a_failure(tmp_path, code, failure):
    two = new_output("stream", text="2\n")
    notebook = new_notebook(cells=[new_code_cell(code, metadata=GOLDEN, outputs=[two], execution_count=1)])
    run = run_notebook(notebook, "small", [sys.executable], tmp_path, dict(os.environ))
    assert (run.failure, run.first_server) == (failure, None)
