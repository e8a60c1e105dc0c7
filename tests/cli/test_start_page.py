"""The start page: parts, links, what is still needed, and progress read from the learner's own notebooks."""

import json
from pathlib import Path

import pytest

from courselib.cli import copies, start_page
from courselib.questions import answers
from courselib.questions.questions import read

COURSE = Path(__file__).parents[2] / "notebooks/en"


@pytest.fixture
def mine(tmp_path):
    copies.update(COURSE, tmp_path)
    return tmp_path


def run(path, cells):
    """As a saved notebook whose first code cells have run."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in [cell for cell in notebook["cells"] if cell["cell_type"] == "code"][:cells]:
        cell["execution_count"] = 1
    path.write_text(json.dumps(notebook), encoding="utf-8")


def page(folder, lacks=None):
    return start_page.page(start_page.read_copies(folder, answers.load(folder)[0]), lacks or {})


def row(text, lesson):
    return next(line for line in text.splitlines() if line.startswith(f"| [{lesson}"))


def test_every_lesson_stands_in_its_part_with_a_link_to_its_copy(mine):
    text = page(mine)
    lessons = start_page.read_copies(mine)
    assert [lesson.file for lesson in lessons] == sorted(path.name for path in COURSE.glob("*.ipynb"))
    for lesson in lessons:
        assert f"]({lesson.file}) | {lesson.minutes} |" in text
    places = [text.index(words) for words in ("## Orientation", "| [00 Start here]", "## Deploying", "| [10 ")]
    assert places == sorted(places)


def test_progress_is_that_of_the_copies(mine):
    assert "**Begin with [00 Start here](00_start_here.ipynb).**" in page(mine)
    run(mine / "00_start_here.ipynb", 2)
    cells = next(lesson.cells for lesson in start_page.read_copies(mine))
    text = page(mine)
    assert f"2 of {cells} cells run" in row(text, "00")
    assert "**Go on with [00 Start here]" in text
    run(mine / "00_start_here.ipynb", 1000)
    text = page(mine)
    assert "| done |" in row(text, "00")
    assert "1 of " in text and "**Go on with [01 " in text


def test_answered_questions_stand_beside_the_cells(mine):
    first, second, *_rest = read("00_start_here")
    assert "questions" not in row(page(mine), "00")
    kept = {first.key: first.words([0, 1]), second.key: second.words([1]), "A question that is no more?": ["Yes."]}
    answers.keep(mine, "00_start_here", kept)
    answers.keep(mine, "99_a_lesson_that_is_no_more", {"Which?": ["This."]})
    assert "| 2 of 5 questions answered |" in row(page(mine), "00")
    assert "questions" not in row(page(mine), "01")
    run(mine / "00_start_here.ipynb", 1000)
    assert "| done, 2 of 5 questions answered |" in row(page(mine), "00")


def test_what_is_missing_is_named_with_how_to_get_it(mine):
    text = page(mine, {"vllm": "vLLM: `courselib install vllm`"})
    assert "courselib install vllm" in row(text, "11")
    assert "courselib install vllm" not in row(text, "10")


def test_a_learners_own_files_and_copies_set_aside_are_no_lessons(mine):
    (mine / "notes.ipynb").write_text("{}")
    (mine / "77_broken.ipynb").write_text("{")
    (mine / "00_start_here.mine-1.ipynb").write_text((mine / "00_start_here.ipynb").read_text())
    assert len(start_page.read_copies(mine)) == len(list(COURSE.glob("*.ipynb")))
