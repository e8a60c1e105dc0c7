"""Exercises exported for nbgrader and Otter; that these take them is tested in ``tests/exercises/test_graders.py``."""

from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

from courselib.authoring import masters
from courselib.authoring.source import read_lesson
from courselib.cli.main import main
from courselib.errors import LessonError

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "lessons/exercises/210_softmax.md"


def test_nbgrader_gets_an_assignment_a_lesson_with_the_answers_marked(tmp_path):
    written = masters.write(ROOT, tmp_path, "nbgrader")
    exercises = [read_lesson(ROOT, path) for path in sorted(SOURCE.parent.glob("*.md"))]
    assert written == [tmp_path / "source" / each.exercise.lesson / f"{each.name}.ipynb" for each in exercises]
    for path, exercise in zip(written, exercises, strict=True):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        text = "\n".join(cell.source for cell in notebook.cells)
        assert text.count("### BEGIN SOLUTION") == text.count("### END SOLUTION") == 1
        assert "## Classic mistakes" not in text  # nbgrader would leave it in the learners' copy
        assert "colab.research.google.com" not in text
        assert sum(cell.metadata.get("nbgrader", {}).get("points", 0) for cell in notebook.cells) == (
            exercise.exercise.points
        )


def test_otter_gets_a_question_around_the_answer_and_its_check():
    cells = masters.master(ROOT, read_lesson(ROOT, SOURCE), "otter").cells
    raw = [cell.source for cell in cells if cell.cell_type == "raw"]
    assert [source.partition("\n")[0] for source in raw] == [
        "# ASSIGNMENT CONFIG", "# BEGIN QUESTION", "# BEGIN SOLUTION", "# END SOLUTION", "# BEGIN TESTS", "# END TESTS",
        "# END QUESTION",
    ]  # fmt: skip
    assert (
        "name: q210_softmax\npoints: 4\nmanual: false" in [cell.source for cell in cells if cell.cell_type == "raw"][1]
    )
    assert 'assert courselib.check("softmax", softmax)' in [cell.source for cell in cells]
    assert not any("nbgrader" in cell.metadata for cell in cells)


def test_nothing_is_overwritten_that_somebody_changed(tmp_path):
    def export(*words):
        return CliRunner().invoke(main, ["exercise", "export", *words, "--for", "otter", str(tmp_path)])

    root = ("--root", str(ROOT))
    assert export(*root).output.splitlines()[0].endswith("000_read_response.ipynb")
    assert export(*root).exit_code == 0  # the same again
    path = tmp_path / "210_softmax.ipynb"
    path.write_text("mine", encoding="utf-8")
    refused = export(*root)
    assert refused.exit_code and "210_softmax.ipynb is another notebook; move it away" in refused.output
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_folder_without_exercises_is_named(tmp_path):
    with pytest.raises(LessonError, match="There are no exercises in"):
        masters.write(tmp_path, tmp_path / "out", "otter")
