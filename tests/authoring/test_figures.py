"""Figures in prose: each has a source, and says what that says."""

from __future__ import annotations

import pytest
from nbformat.v4 import new_output

from courselib.authoring import figures
from courselib.authoring.build import render
from courselib.authoring.project import read_project
from tests.authoring.project import fixture, make_project, read

LESSON = fixture("lesson.md")
PLAIN = "Most English letters take one byte, 一個漢字 takes three."
PAGE = """# Recorded in November 2026

| what | seen | conditions |
|---|---|---|
| start | eager 25 to 34 s; compiled 77 to 83 s | vLLM 0.32, two idle cores |
| speed | 8 threads: 18 tokens/s; more said nothing | llama.cpp b11549, 1 core |
"""


def recorded(tmp_path, badge: str) -> list[str]:
    root = make_project(tmp_path, bytes=LESSON.replace(PLAIN, f"Some prose,\nand {badge}."))
    (root / "benchmarks/results").mkdir(parents=True)
    (root / figures.RECORDED).write_text(PAGE)
    (root / "docs").mkdir()
    (root / "docs/engines.md").write_text("As of vLLM 0.32.0.\n\nAs of TGI 3.3.7.\n")
    return [str(problem) for problem in figures.recorded_problems(root, read(root, "bytes"))]


@pytest.mark.parametrize(
    "badge",
    [
        "{recorded}`25 to 34 s <vLLM 0.32, two idle cores, November 2026>`",
        "{recorded}`77 to 83 s, or 25 to\n34 s <2 idle cores>`",
        "{recorded}`eight threads gave 18 tokens/s <one core>`",
        "{recorded}`more said nothing <llama.cpp b11549>`",
        "{recorded}`a start <vLLM 0.32; benchmarks/results/lessons.md>`".replace("a start", "25 s"),
        "{recorded}`those of vLLM 0.32.0 and TGI 3.3.7 <docs/engines.md>`",
        "{quoted}`24x <https://example.org>`",
    ],
)
def test_what_was_recorded_is_found(tmp_path, badge):
    assert recorded(tmp_path, badge) == []


@pytest.mark.parametrize(
    ("badge", "problem"),
    [
        ("{recorded}`25 s`", "a recorded figure names its conditions"),
        ("{recorded}`25 to 35 s <two idle cores>`", "has '25 to 35 s' under these conditions"),
        ("{recorded}`25 to 34 s <eight cores>`", "under these conditions"),
        ("{recorded}`25 s and 18 tokens/s <November 2026>`", "under these conditions"),
        ("{recorded}`less said nothing <llama.cpp b11549>`", "under these conditions"),
        ("{recorded}`vLLM 0.33.0 <docs/engines.md>`", "no row of docs/engines.md"),
        ("{recorded}`5 s <two cores; benchmarks/results/none.md>`", "there is no benchmarks/results/none.md"),
    ],
)
def test_what_was_not_recorded_is_named_with_its_line(tmp_path, badge, problem):
    (found,) = recorded(tmp_path, badge)
    assert found.startswith("lessons/bytes.md:16: cell 1: ")
    assert problem in found


def measured(tmp_path, claim: str, shown: str, *, section: str = "") -> list[str]:
    """The problems of a claim below cells that put something out, or in another section."""
    text = LESSON.replace("Runs in {measured}`3 ms <2 cores>`", "Runs")
    text = text.replace("And a cell that is only shown:", f"{section}Here {{measured}}`{claim}`.")
    root = make_project(tmp_path, bytes=text)
    lesson = read(root, "bytes")
    built = render(root, lesson, read_project(root), path="notebooks/en/bytes.ipynb")
    next(cell for cell in built.notebook.cells if "IntSlider" in cell.source).outputs = [
        new_output("display_data", {"text/plain": shown, "image/svg+xml": "<svg width='777'/>"})
    ]
    assert list(figures.measured_problems(lesson, built)) == [], "nothing is known of a lesson that has not run"
    built.mark_executed()
    return [str(problem) for problem in figures.measured_problems(lesson, built)]


@pytest.mark.parametrize(
    ("claim", "shown"),
    [
        ("41 tokens/s", "speed: 41.3 tokens/s"),
        ("0.4 s", "[0.38]"),
        ("about a second", "ready after 0.81 s"),
        ("about 10 s", "took 12.4 s"),
        ("1,024 MB of 2", "2 files, 1024 MB"),
        ("most of it", "nothing in figures"),
    ],
)
def test_what_was_measured_is_found(tmp_path, claim, shown):
    assert measured(tmp_path, claim, shown) == []


@pytest.mark.parametrize(
    ("claim", "shown", "number"),
    [
        ("41 tokens/s", "speed: 42.3 tokens/s", "41"),
        ("0.4 s", "0.46", "0.4"),
        ("10 s", "took 12.4 s", "10"),
        ("about 10 s", "took 13 s", "10"),
        ("777 px", "a picture", "777"),
    ],
)
def test_what_no_cell_shows_is_named(tmp_path, claim, shown, number):
    (found,) = measured(tmp_path, claim, shown)
    assert f"no output in this section says {number}, as '{claim}' does" in found


def test_another_section_is_no_source(tmp_path):
    assert measured(tmp_path, "41 s", "41 s", section="## Next\n\n")[0].endswith("'41 s' is recorded, or needs one.")
