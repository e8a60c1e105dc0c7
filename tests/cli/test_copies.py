"""A learner's copies: without outputs, up to date where nobody worked in them, never overwritten where somebody did."""

import json
import os

import pytest

from courselib.cli import copies
from courselib.errors import CourseError


def notebook(*sources, ran=False):
    cell = {"cell_type": "code", "metadata": {}, "execution_count": 3 if ran else None}
    outputs = [{"output_type": "stream", "name": "stdout", "text": "answer"}] if ran else []
    return {
        "cells": [{**cell, "source": source, "outputs": outputs} for source in sources],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.fixture
def course(tmp_path):
    folder = tmp_path / "course"
    folder.mkdir()
    (folder / "00_a.ipynb").write_text(json.dumps(notebook("1 + 1", "貓", ran=True)))
    (folder / "01_b.ipynb").write_text(json.dumps(notebook("2", ran=True)))
    return folder


@pytest.fixture
def mine(course, tmp_path):
    folder = tmp_path / "mine"
    assert copies.update(course, folder) == []
    return folder


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def change(course, name="00_a.ipynb", *sources):
    (course / name).write_text(json.dumps(notebook(*sources, ran=True)))


def names(folder):
    return sorted(path.name for path in folder.glob("*.ipynb"))


def test_copies_have_the_cells_and_no_outputs(mine):
    assert names(mine) == ["00_a.ipynb", "01_b.ipynb"]
    cells = read(mine / "00_a.ipynb")["cells"]
    assert [cell["source"] for cell in cells] == ["1 + 1", "貓"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


def test_an_untouched_copy_follows_its_lesson(course, mine):
    change(course, "00_a.ipynb", "1 + 2")
    assert copies.update(course, mine) == []
    assert read(mine / "00_a.ipynb")["cells"][0]["source"] == "1 + 2"
    assert names(mine) == ["00_a.ipynb", "01_b.ipynb"]


@pytest.mark.parametrize("work", ["ran", "edited", "broken", "made up by JupyterLab"])
def test_work_is_kept_beside_the_new_lesson_and_said(course, mine, work):
    copy = mine / "00_a.ipynb"
    changed = {
        "ran": json.dumps(notebook("1 + 1", "貓", ran=True)),
        "edited": json.dumps(notebook("1 + 1", "my answer")),
        "broken": "{",
        "made up by JupyterLab": json.dumps({**notebook("1 + 1", "貓"), "metadata": {"kernelspec": {"name": "x"}}}),
    }[work]
    copy.write_text(changed)
    assert copies.update(course, mine) == []  # its lesson is as it was
    assert copy.read_text() == changed
    change(course, "00_a.ipynb", "1 + 2")
    said = copies.update(course, mine)
    assert read(copy)["cells"][0]["source"] == "1 + 2"
    if work == "made up by JupyterLab":
        assert said == [] and names(mine) == ["00_a.ipynb", "01_b.ipynb"]
    else:
        assert said == ["00_a.ipynb has changed. Your copy with your work is kept as 00_a.mine-1.ipynb."]
        assert (mine / "00_a.mine-1.ipynb").read_text() == changed


def test_two_updates_keep_two_copies(course, mine):
    for number, source in enumerate(["a", "b"], start=1):
        (mine / "00_a.ipynb").write_text(json.dumps(notebook(f"work {number}")))
        change(course, "00_a.ipynb", source)
        copies.update(course, mine)
    kept = [read(mine / f"00_a.mine-{number}.ipynb")["cells"][0]["source"] for number in (1, 2)]
    assert kept == ["work 1", "work 2"]


def test_a_lesson_that_is_no_more_goes_unless_somebody_worked_in_it(course, mine):
    (mine / "01_b.ipynb").write_text(json.dumps(notebook("my work")))
    for name in ("00_a.ipynb", "01_b.ipynb"):
        (course / name).unlink()
    copies.update(course, mine)
    assert names(mine) == ["01_b.ipynb"]


def test_a_copy_that_was_deleted_comes_back_and_files_of_ones_own_stay(course, mine):
    (mine / "00_a.ipynb").unlink()
    (mine / "notes.ipynb").write_text("{}")
    copies.update(course, mine)
    assert names(mine) == ["00_a.ipynb", "01_b.ipynb", "notes.ipynb"]


def test_without_its_record_nothing_is_lost(course, mine):
    (mine / "00_a.ipynb").write_text(json.dumps(notebook("my work")))
    (mine / copies.RECORD).write_text("{")
    assert len(copies.update(course, mine)) == 2  # what was given is not known: both are kept
    assert read(mine / "00_a.mine-1.ipynb")["cells"][0]["source"] == "my work"


@pytest.mark.skipif(os.name == "nt", reason="a file is no folder there either, with other words")
def test_a_folder_that_cannot_be_written_is_said(course, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        CourseError, match=r"^Your copies of the lessons cannot be written to .*file/mine: Not a directory\.$"
    ):
        copies.update(course, tmp_path / "file" / "mine")
