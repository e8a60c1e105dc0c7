"""Exercises in a learner's folder: progress on the start page, and one of them begun anew."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from courselib.cli import copies, start_page
from courselib.cli.main import main
from courselib.errors import CourseError

ROOT = Path(__file__).parents[2]
EXERCISES = ROOT / "exercises/en"
NAME = "210_softmax"
RIGHT = {"output_type": "execute_result", "data": {"text/plain": "right"}, "execution_count": 3, "metadata": {}}
WRONG = {"output_type": "error", "ename": "CheckFailed", "evalue": "not yet", "traceback": []}


@pytest.fixture
def mine(tmp_path):
    copies.update(EXERCISES, tmp_path / copies.EXERCISES)
    return tmp_path


def answer(folder, *outputs, name=NAME):
    """As a saved notebook in which something was written and the check was run."""
    path = folder / copies.EXERCISES / f"{name}.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        mark = cell["metadata"].get("nbgrader", {})
        if mark.get("solution"):
            cell["source"] = "my work"
        if mark.get("locked"):
            cell |= {"execution_count": 3, "outputs": list(outputs)}
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def page(folder):
    copies.update(ROOT / "notebooks/en", folder)
    exercises = start_page.read_exercises(folder / copies.EXERCISES)
    return start_page.page(start_page.read_copies(folder), {}, (), exercises), exercises


def test_progress_is_what_the_checks_have_said(mine):
    answer(mine, RIGHT)
    answer(mine, WRONG, name="211_nucleus")
    text, exercises = page(mine)
    points = next(each.points for each in exercises if each.file.startswith("210"))
    most = sum(each.points for each in exercises)
    assert f"1 of {len(exercises)} exercises done, {points} of {most} points from checks." in text
    row = next(line for line in text.splitlines() if line.startswith("| [21 "))
    assert "[210](exercises/210_softmax.ipynb) ✓" in row and "[211](exercises/211_nucleus.ipynb) …" in row
    assert "[212](exercises/212_min_p.ipynb) [" in row  # not tried: no mark


def test_points_that_a_person_gives_are_not_counted(mine):
    answer(mine, RIGHT, name="220_explain_seeds")
    text, exercises = page(mine)
    assert f"1 of {len(exercises)} exercises done, 0 of " in text
    assert "[220](exercises/220_explain_seeds.ipynb) ✓" in text


def test_every_exercise_is_on_the_page_once(mine):
    text, exercises = page(mine)
    assert [each.file for each in exercises] == sorted(path.name for path in EXERCISES.glob("*.ipynb"))
    assert all(text.count(f"(exercises/{each.file})") == 1 for each in exercises)


def test_a_copy_set_aside_or_broken_is_no_exercise(mine):
    path = answer(mine, RIGHT)
    path.rename(path.with_name(f"{NAME}.mine-1.ipynb"))
    (mine / copies.EXERCISES / "999_broken.ipynb").write_text("{")
    (mine / copies.EXERCISES / "998_empty.ipynb").write_text("[]")
    files = [each.file for each in page(mine)[1]]
    assert len(files) == len(list(EXERCISES.glob("*.ipynb"))) - 1


def test_one_is_begun_anew_and_no_work_is_lost(mine):
    answer(mine, RIGHT)
    other = answer(mine, WRONG, name="211_nucleus")
    others = other.read_text(encoding="utf-8")
    folder = mine / copies.EXERCISES
    for number in (1, 2):
        assert f"{NAME}.mine-{number}.ipynb" in copies.reset(EXERCISES, folder, NAME)
        assert "my work" in (folder / f"{NAME}.mine-{number}.ipynb").read_text(encoding="utf-8")
        assert "my work" not in (folder / f"{NAME}.ipynb").read_text(encoding="utf-8")
        answer(mine, RIGHT)
    assert other.read_text(encoding="utf-8") == others
    assert copies.reset(EXERCISES, folder, f"{NAME}.ipynb") and "nothing" in copies.reset(EXERCISES, folder, NAME)
    assert copies.update(EXERCISES, folder) == []  # what was given anew is known as untouched


def test_a_name_that_is_none_is_said(mine):
    with pytest.raises(CourseError, match=f"no '../secret'; there are: .*{NAME}"):
        copies.reset(EXERCISES, mine, "../secret")


def test_the_command(mine, monkeypatch):
    monkeypatch.chdir(mine)
    monkeypatch.setattr("courselib.cli.exercise.find_course", lambda: (ROOT / "notebooks/en", mine))
    answer(mine, RIGHT)
    done = CliRunner().invoke(main, ["exercise", "reset", NAME])
    assert done.exit_code == 0 and f"{NAME}.mine-1.ipynb" in done.output
    assert CliRunner().invoke(main, ["exercise", "reset", "nothing"]).exit_code == 1
