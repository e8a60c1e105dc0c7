"""A lesson's questions as the package has them, as folded HTML, and as text."""

from html.parser import HTMLParser

import pytest

from courselib.errors import SettingsError
from courselib.i18n import set_language
from courselib.questions import questions
from courselib.questions.questions import Option, Question

COLOUR = Question(
    "What is <code>red &amp; blue</code>?",
    (Option("A <em>sound</em>.", False, "No ear hears it."), Option("A colour.", True, "It is seen.")),
)
NUMBER = Question("One &lt; two?", (Option("Yes.", True, "By one."), Option("No.", False, "Count.")))


class Folds(HTMLParser):
    """The summaries in a page, each with the text in its fold, and whatever is left open."""

    def __init__(self, page):
        super().__init__()
        self.open, self.folds = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "details":
            self.folds.append(["", ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "details" in self.open:
            self.folds[-1]["summary" not in self.open] += data


def test_every_lessons_questions_can_be_read():
    assert len(questions.lessons()) > 20
    for lesson in questions.lessons():
        asked = questions.read(lesson)
        assert len({question.key for question in asked}) == len(asked) >= 5
        for question in asked:
            words = question.words(range(len(question.options)))
            assert len(set(words)) == len(words) >= 2, "an answer is kept by its words"
            assert any(option.is_right for option in question.options)
            assert all(option.why for option in question.options)


def test_an_unknown_lesson_is_one_sentence_with_the_known_ones():
    with pytest.raises(SettingsError, match=r"no questions for '../../x'.*20_generation"):
        questions.read("../../x")


def test_they_are_in_the_language_in_use_where_there_is_one(tmp_path, monkeypatch):
    for language, asked in (("en", COLOUR), ("zh_TW", NUMBER)):
        (tmp_path / language).mkdir()
        (tmp_path / language / "01_a.json").write_text(questions.to_json([asked]), encoding="utf-8")
    monkeypatch.setattr(questions, "FOLDER", tmp_path)
    assert questions.read("01_a") == (COLOUR,)
    try:
        set_language("zh_TW")
        assert questions.read("01_a") == (NUMBER,)
        set_language("fr")
        assert questions.read("01_a") == (COLOUR,)
    finally:
        set_language("en")


def test_folds_hold_a_reason_each_and_close():
    page = Folds(questions.folded([COLOUR, NUMBER], str.upper))
    assert page.open == []
    assert page.folds[:2] == [["A sound.", "NOT QUITE. No ear hears it."], ["A colour.", "RIGHT. It is seen."]]
    assert len(page.folds) == 4


def test_as_text_a_reason_shows_only_for_what_was_chosen():
    assert questions.lines([COLOUR, NUMBER], [[0], []]) == [
        "1. What is red & blue?",
        "   ✕ A sound. — Not quite. No ear hears it.",
        "   ○ A colour.",
        "2. One < two?",
        "   ○ Yes.",
        "   ○ No.",
    ]
    assert "   ✓ A colour. — Right. It is seen." in questions.lines([COLOUR], [[0, 1]])


@pytest.mark.parametrize(
    ("chosen", "counted"),
    [([[], []], (0, 0)), ([[0, 1], []], (1, 0)), ([[1], [0, 1]], (2, 2)), ([[1, 0], [1]], (2, 1))],
)
def test_the_first_try_counts(chosen, counted):
    assert questions.score([COLOUR, NUMBER], chosen) == counted


def test_what_was_kept_is_found_by_its_words():
    kept = {COLOUR.key: COLOUR.words([1, 0])}
    assert COLOUR.chosen(kept) == [1, 0]
    assert NUMBER.chosen(kept) == []
    moved = Question(COLOUR.text, COLOUR.options[::-1])
    assert moved.chosen(kept) == [0, 1]
    reworded = Question(COLOUR.text, (Option("A noise.", False, "No."), COLOUR.options[1]))
    assert reworded.chosen(kept) == [1]
