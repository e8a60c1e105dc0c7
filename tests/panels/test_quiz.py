"""The panel of a lesson's questions: what was kept is shown, what is chosen is kept, and nothing else is written."""

import json

import pytest

import courselib
from courselib.errors import SettingsError
from courselib.panels.base import VIEW
from courselib.questions.answers import FILE
from courselib.questions.questions import folded, read
from tests.panels.conftest import click

LESSON = "20_generation"


@pytest.fixture
def quiz(tmp_path):
    return courselib.Quiz(LESSON, folder=tmp_path)


def choose(quiz, question, *options):
    """As the page does, which sends the whole list."""
    quiz.view.set_state({"chosen": [list(options) if at == question else each for at, each in enumerate(quiz.chosen)]})


def kept(folder):
    return json.loads((folder / FILE).read_text(encoding="utf-8"))


def test_opened_and_looked_at_it_writes_nothing(quiz, tmp_path):
    assert quiz.chosen == [[], [], [], [], []]
    assert quiz.state.startswith("0 of 5 answered") and quiz.again_button.disabled
    quiz._repr_mimebundle_()
    quiz.as_table()
    assert list(tmp_path.iterdir()) == []


def test_a_choice_is_kept_and_shown_again(quiz, tmp_path):
    question = read(LESSON)[1]
    choose(quiz, 1, 2, 0)
    assert kept(tmp_path) == {LESSON: {question.key: question.words([2, 0])}}
    assert quiz.state == "1 of 5 answered, 0 right at the first try"
    again = courselib.Quiz(LESSON, folder=tmp_path)
    assert again.chosen == [[], [2, 0], [], [], []] and again.state == quiz.state
    assert again.as_table() == quiz.as_table()


def test_the_twin_explains_only_what_was_chosen(quiz):
    first = read(LESSON)[0]
    assert first.options[0].why not in quiz.as_table()
    choose(quiz, 0, 0)
    assert f"✕ {first.options[0].text} — Not quite. {first.options[0].why}" in quiz.as_table()
    assert first.options[1].why not in quiz.as_table()


def test_answers_can_be_given_again(quiz, tmp_path):
    choose(quiz, 0, 1)
    assert quiz.state == "1 of 5 answered, 1 right at the first try"
    click(quiz.again_button)
    assert quiz.chosen == [[], [], [], [], []] and kept(tmp_path) == {LESSON: {}}


def test_a_broken_file_is_a_remark(tmp_path):
    (tmp_path / FILE).write_text("{")
    quiz = courselib.Quiz(LESSON, folder=tmp_path)
    assert ".answers.broken-1.json" in quiz.remark
    choose(quiz, 0, 1)
    assert LESSON in kept(tmp_path)


def test_what_cannot_be_kept_is_reported_and_still_shown(tmp_path):
    quiz = courselib.Quiz(LESSON, folder=tmp_path / "later")
    choose(quiz, 0, 1)
    assert "is not kept" in quiz._error.value and quiz.chosen[0] == [1]
    (tmp_path / "later").mkdir()
    choose(quiz, 1, 0)
    assert quiz._error.value == "" and len(kept(tmp_path / "later")[LESSON]) == 2


def test_a_saved_notebook_shows_the_folds_and_never_the_answers(quiz):
    before = {name: value for name, value in quiz._repr_mimebundle_().items() if name != VIEW}
    assert before == {"text/plain": f"Quiz({LESSON!r})", "text/html": folded(read(LESSON))}
    choose(quiz, 0, 1)
    assert {name: value for name, value in quiz._repr_mimebundle_().items() if name != VIEW} == before


def test_an_unknown_lesson_is_refused():
    with pytest.raises(SettingsError, match="There are no questions for '99_none'"):
        courselib.Quiz("99_none")
