"""What no built notebook may hold, and that there is one for each lesson."""

from __future__ import annotations

import json
import re

import pytest

from tests.notebooks.nbval import NOTEBOOKS, built_notebooks

MAX_BYTES = 500_000
MACHINE_PATHS = re.compile(r"(?<![\w.$~-])/(?:root|work|tmp|home/\w+|Users/\w+)(?:/[\w.-]*|(?![\w/-]))")
each_notebook = pytest.mark.parametrize("path", built_notebooks(), ids=lambda path: f"{path.parent.name}/{path.stem}")


def test_there_is_a_notebook_for_each_lesson():
    lessons = {path.stem for path in (NOTEBOOKS.parent / "lessons").glob("*.md")}
    assert {path.stem for path in (NOTEBOOKS / "en").glob("*.ipynb")} == lessons


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/root/.cache/x", True),
        ("see /tmp/x.log", True),
        ("'/home/ada/y'", True),
        ("in /work", True),
        ("~/courselib/.venv/bin/python", False),
        ("$TMPDIR/x", False),
        ("https://example.org/home/ada", False),
        ("/data and /workshop", False),
    ],
)
def test_machine_paths_are_recognised(text, found):
    assert bool(MACHINE_PATHS.search(text)) == found


@each_notebook
def test_outputs_hold_no_path_of_the_machine_that_built_them(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    outputs = [json.dumps(cell.get("outputs", [])) for cell in notebook["cells"]]
    # JSON writes an escape before a path as \u001b[32m; the path then follows a letter.
    plain = [re.sub(r"\\u001b\[[0-9;]*m|\\n", " ", text) for text in outputs]
    assert [found[0] for text in plain for found in MACHINE_PATHS.finditer(text)] == []


@each_notebook
def test_no_widget_state_and_no_views_without_it(path):
    text = path.read_text(encoding="utf-8")
    assert "widgets" not in json.loads(text)["metadata"]
    assert "application/vnd.jupyter.widget-view+json" not in text


@each_notebook
def test_nbval_takes_no_cell_for_unrun(path):
    """It fails where an output stands in a cell without a number, as if the notebook had been made by hand."""
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert [cell["source"] for cell in cells if cell["outputs"] and cell["execution_count"] is None] == []
    numbers = [cell["execution_count"] for cell in cells if cell["execution_count"] is not None]
    assert numbers == list(range(1, len(numbers) + 1))


@each_notebook
def test_it_is_small(path):
    assert path.stat().st_size < MAX_BYTES


@each_notebook
def test_it_was_built_and_executed(path):
    about = json.loads(path.read_text(encoding="utf-8"))["metadata"]["courselib"]
    assert about["built_from"] == f"lessons/{path.stem}.md"
    assert about["executed"]
