"""Hints opened one by one, counted in the learner's file, and shown by the check and on the start page."""

import json
from pathlib import Path

import pytest

import courselib
from courselib.cli import copies, start_page
from courselib.errors import SettingsError
from courselib.exercises.catalogue import exercises
from courselib.questions import answers, hints

ROOT = Path(__file__).parents[2]


def softmax(logits, temperature):
    import numpy as np

    x = np.exp((np.array(logits) - max(logits)) / temperature)
    return x / x.sum()


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A learner's exercises, and their folder as the one that the notebook runs in."""
    folder = tmp_path / copies.EXERCISES
    copies.update(ROOT / "exercises/en", folder)
    monkeypatch.chdir(folder)
    return folder


def test_each_exercise_has_three_hints():
    assert set(hints.read()) == set(exercises())
    assert {len(texts) for texts in hints.read().values()} == {3}


def test_hints_come_one_by_one_and_the_last_stays(mine):
    texts = hints.read()["softmax"]
    shown = [courselib.hint("softmax") for _n in range(4)]
    assert [(each.number, each.text) for each in shown] == [
        (1, texts[0]), (2, texts[1]), (3, texts[2]), (3, texts[2]),
    ]  # fmt: skip
    assert shown[1]._repr_markdown_().startswith("**Hint 2 of 3**\n\n")
    assert courselib.hint("nucleus").number == 1  # each exercise has its own count


def test_the_check_and_the_start_page_say_how_many_were_opened(mine):
    assert "Hints" not in repr(courselib.check("softmax", softmax))
    courselib.hint("softmax")
    courselib.hint("softmax")
    assert repr(courselib.check("softmax", softmax)).endswith(" Hints opened: 2.")
    kept, _remark = answers.load(mine)
    text = start_page.page([], {}, (), start_page.read_exercises(mine, kept))
    assert "exercises done" in text
    (copy,) = [each for each in start_page.read_exercises(mine, kept) if each.hints]
    assert (copy.file, copy.hints) == ("210_softmax.ipynb", 2)
    assert start_page._exercise_link(copy).endswith(" (hints: 2)")


def test_hints_stand_beside_answers_to_questions_in_one_file(mine):
    answers.keep(mine, "21_sampling", {"Why?": ["Because."]})
    courselib.hint("softmax")
    assert json.loads((mine / answers.FILE).read_text(encoding="utf-8")) == {
        "21_sampling": {"Why?": ["Because."]},
        "softmax": {"hints": ["1"]},
    }


def test_a_learners_copies_name_the_function_and_hold_no_hint(mine):
    for path in mine.glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        name = path.stem[4:]
        assert text.count(f'courselib.hint(\\"{name}\\")') == 1
        assert "<summary>Hint" not in text
        assert not [hint for hint in hints.read()[name] if json.dumps(hint)[1:-1] in text]
    assert "<summary>Hint 1" in (ROOT / "exercises/en/210_softmax.ipynb").read_text(encoding="utf-8")


def test_a_check_does_not_fail_because_the_file_is_broken(mine):
    (mine / answers.FILE).write_text("not JSON", encoding="utf-8")
    assert "right" in repr(courselib.check("softmax", softmax))


def test_what_is_no_exercise_is_said(tmp_path):
    with pytest.raises(SettingsError, match="There are no hints for 'nothing'; there are hints for: "):
        hints.hint("nothing", folder=tmp_path)
    assert not list(tmp_path.iterdir())
