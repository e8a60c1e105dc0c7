"""The notebooks' comparison can fail: it compares something, and sees it when that changes."""

from __future__ import annotations

import shutil
import sys

import nbformat
import pytest

from courselib.authoring import build
from courselib.engines.vllm import environment
from tests.authoring.project import fixture, make_project, notebook_path
from tests.notebooks import nbval
from tests.notebooks.nbval import built_notebooks, change_first_golden, golden_cells, run_nbval


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A notebook that needs no engine, built by the pipeline."""
    root = make_project(tmp_path_factory.mktemp("small"), bytes=fixture("lesson.md"))
    assert build(root).ok
    return notebook_path(root, "bytes")


def changed_copy(path, folder):
    copy = folder / path.name
    notebook = nbformat.read(path, as_version=4)
    change_first_golden(notebook)
    nbformat.write(notebook, copy)
    return copy


@pytest.mark.parametrize("path", built_notebooks(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_notebook_compares_something(path):
    assert golden_cells(nbformat.read(path, as_version=4)), (
        f"{path.name} compares nothing: it has no executed cell with an output tagged nbval-check-output"
    )


def test_what_compares_nothing_is_noticed(small):
    """The test above, on notebooks that look as if they compared something."""
    assert len(golden_cells(nbformat.read(small, as_version=4))) == 1
    for strip in ("outputs", "count", "tag", "text"):
        notebook = nbformat.read(small, as_version=4)
        cell = golden_cells(notebook)[0]
        if strip == "outputs":
            cell.outputs = []
        elif strip == "count":
            cell.execution_count = None
        elif strip == "tag":
            cell.metadata.tags = []
        else:
            cell.outputs[0].data["text/plain"] = " "
        assert golden_cells(notebook) == [], strip


@pytest.mark.slow
def test_a_notebook_that_cannot_run_here_is_left_out_and_named(tmp_path, monkeypatch, capfd):
    """Five notebooks, of which four need what this machine seems not to have."""
    lesson = fixture("lesson.md")
    others = {"more": "vllm", "most": "native", "other": "prometheus", "front": "haproxy"}
    others = {name: lesson.replace("needs: []", f"needs: [{need}]") for name, need in others.items()}
    root = make_project(tmp_path, bytes=lesson, **others)
    assert build(root).ok
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    monkeypatch.setenv(environment.VARIABLE, "/no/python")
    monkeypatch.setattr("shutil.which", lambda _program: None)
    monkeypatch.setattr(nbval, "NOTEBOOKS", root / "notebooks")
    monkeypatch.delenv("COURSELIB_REQUIRE_VLLM", raising=False)
    assert nbval.main("without-vllm") == 0
    said = capfd.readouterr().out
    assert "Left out: most.ipynb. llama-cpp-python is not installed: make native" in said
    assert "Left out: other.ipynb. There is no program prometheus" in said
    assert "Left out: front.ipynb. There is no program haproxy" in said
    assert "more" not in said
    assert "5 passed, 1 skipped" in said
    assert nbval.main("with-vllm") == 0
    said = capfd.readouterr().out
    assert "Left out: more.ipynb. The interpreter /no/python, asked for as vLLM's, cannot be used" in said
    assert "passed" not in said
    monkeypatch.setenv("COURSELIB_REQUIRE_VLLM", "1")
    assert nbval.main("with-vllm") == 1
    assert nbval.main("without-vllm") == 1
    assert "5 passed, 1 skipped" in capfd.readouterr().out, "what can run has run"


@pytest.mark.slow
def test_nbval_passes_what_was_built(small):
    done = run_nbval(small)
    assert done.returncode == 0, done.stdout
    assert "5 passed, 1 skipped" in done.stdout


@pytest.mark.slow
def test_nbval_fails_on_a_changed_golden(small, tmp_path):
    done = run_nbval(changed_copy(small, tmp_path))
    assert done.returncode == 1, done.stdout
    assert "Cell outputs differ" in done.stdout
    assert "something else" in done.stdout
    assert "1 failed, 4 passed, 1 skipped" in done.stdout


@pytest.mark.slow
def test_nbval_passes_outputs_that_may_differ(small, tmp_path):
    """Only goldens are compared: a measured number may be another one each time."""
    copy = shutil.copy(small, tmp_path / small.name)
    notebook = nbformat.read(copy, as_version=4)
    slider = next(cell for cell in notebook.cells if cell.source.startswith("import ipywidgets"))
    slider.outputs[0].data["text/plain"] = "IntSlider(value=4)"
    nbformat.write(notebook, copy)
    assert run_nbval(copy).returncode == 0


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.parametrize("path", built_notebooks()[:1], ids=lambda path: path.stem)
def test_nbval_fails_on_a_changed_golden_of_a_real_lesson(path, tmp_path):
    """That the lesson as it is passes is seen when all are run; here it must fail, and in that cell alone."""
    done = run_nbval(changed_copy(path, tmp_path))
    assert done.returncode == 1, done.stdout
    assert "Cell outputs differ" in done.stdout
    assert "1 failed" in done.stdout
