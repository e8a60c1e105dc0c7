"""Each lesson asks its reader: questions before its end, and no prediction that it leaves open."""

from __future__ import annotations

from pathlib import Path

import pytest

from courselib.authoring.blocks import Block, split
from courselib.authoring.source import read_lesson
from tests.notebooks.nbval import NOTEBOOKS

MIN_QUESTIONS, HEADING, NEXT_HEADING = 5, "## Check yourself", "## What you have done"
ROOT = NOTEBOOKS.parent
# Its readers ask the questions.
FOR_INSTRUCTORS = "70_instructors"
each_lesson = pytest.mark.parametrize("path", sorted((ROOT / "lessons").glob("*.md")), ids=lambda path: path.stem)


def blocks(path: Path) -> list[Block]:
    cells = read_lesson(ROOT, path).cells
    return [block for cell in cells if cell.kind == "markdown" for block in split(cell.source)]


def number_of_questions(found: list[Block]) -> int:
    """How many questions stand under their heading, directly above what was done."""
    texts = [block.text for block in found]
    if HEADING not in texts or NEXT_HEADING not in texts:
        return 0
    section = found[texts.index(HEADING) + 1 : texts.index(NEXT_HEADING)]
    return sum(block.name == "quiz" for block in section)


def open_predictions(found: list[Block]) -> int:
    """How many predictions have no answer before the next prediction, the next part of the lesson, or its end."""
    left, waiting = 0, False
    for block in found:
        if block.name == "answer":
            waiting = False
        elif block.name == "predict" or (block.kind == "text" and block.text.startswith("## ")):
            left += waiting
            waiting = block.name == "predict"
    return left + waiting


@each_lesson
def test_a_lesson_ends_with_questions(path):
    assert number_of_questions(blocks(path)) >= MIN_QUESTIONS or path.stem == FOR_INSTRUCTORS


@each_lesson
def test_every_prediction_has_an_answer(path):
    assert open_predictions(blocks(path)) == 0


PREDICT, ANSWER = ":::{predict}\nHow long?\n:::", ":::{answer}\nTwo.\n:::"


@pytest.mark.parametrize(
    ("parts", "left"),
    [
        ([PREDICT, ANSWER], 0),
        ([ANSWER, PREDICT], 1),
        ([PREDICT, PREDICT, ANSWER], 1),
        ([PREDICT, "## Next", ANSWER], 1),
        ([PREDICT, "### Within", ANSWER], 0),
    ],
)
def test_an_open_prediction_is_seen(parts, left):
    assert open_predictions(split("\n\n".join(parts))) == left


def test_questions_count_under_their_heading_alone():
    quiz = ":::{quiz} Which?\n- [x] This.\n  It is.\n- [ ] That.\n  It is not.\n:::"
    assert number_of_questions(split("\n\n".join([quiz, HEADING, quiz, quiz, NEXT_HEADING]))) == 2
    assert number_of_questions(split("\n\n".join([quiz, NEXT_HEADING]))) == 0
