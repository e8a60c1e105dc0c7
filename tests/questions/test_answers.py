"""A learner's file of answers: kept whole, never lost, and of no lesson but the one that was answered."""

import json

import pytest

from courselib.errors import CourseError
from courselib.questions import answers
from courselib.questions.answers import FILE, keep, load


def test_an_answer_is_kept_beside_others(tmp_path):
    assert load(tmp_path) == ({}, "")
    keep(tmp_path, "one", {"Which?": ["This.", "That."], "Why?": []})
    keep(tmp_path, "two", {"Wie viel?": ["兩個"]})
    keep(tmp_path, "one", {"Why?": ["So."]})
    assert load(tmp_path) == (
        {"one": {"Which?": ["This.", "That."], "Why?": ["So."]}, "two": {"Wie viel?": ["兩個"]}},
        "",
    )
    assert "兩個" in (tmp_path / FILE).read_text(encoding="utf-8"), "a person can read it"


def test_an_answer_can_be_taken_away(tmp_path):
    keep(tmp_path, "one", {"Which?": ["This."], "Why?": ["So."]})
    keep(tmp_path, "one", {"Which?": []})
    assert load(tmp_path)[0] == {"one": {"Why?": ["So."]}}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"one": []}', '{"one": {"Which?": "This."}}', '{"one": {"Which?": [1]}}', b"\xff\xfe{}"]
)
def test_a_broken_file_is_kept_under_another_name(tmp_path, text):
    broken = text if isinstance(text, bytes) else text.encode()
    (tmp_path / FILE).write_bytes(broken)
    kept, sentence = load(tmp_path)
    assert kept == {} and not (tmp_path / FILE).exists()
    assert ".answers.broken-1.json" in sentence
    assert (tmp_path / ".answers.broken-1.json").read_bytes() == broken

    (tmp_path / FILE).write_text("{")  # and once more, between two answers
    assert ".answers.broken-2.json" in keep(tmp_path, "one", {"Which?": ["This."]})
    assert (tmp_path / ".answers.broken-1.json").read_bytes() == broken
    assert load(tmp_path) == ({"one": {"Which?": ["This."]}}, "")


def test_nothing_is_written_over_a_file_that_cannot_be_set_aside(tmp_path, monkeypatch):
    (tmp_path / FILE).write_text("{")

    def refuse(path, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "rename", refuse)
    with pytest.raises(CourseError, match=r"no answer is kept until"):
        load(tmp_path)
    with pytest.raises(CourseError, match=r"no answer is kept until"):
        keep(tmp_path, "one", {"Which?": ["This."]})
    assert (tmp_path / FILE).read_text() == "{"


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(CourseError, match=r"Your answer is not kept, because .*answers\.json cannot be written"):
        keep(tmp_path / "absent", "one", {"Which?": ["This."]})


def test_a_write_that_breaks_off_leaves_the_old_answers(tmp_path, monkeypatch):
    keep(tmp_path, "one", {"Which?": ["This."]})
    before = (tmp_path / FILE).read_text()

    def full(path, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(tmp_path), "replace", full)
    with pytest.raises(CourseError, match="No space left"):
        keep(tmp_path, "one", {"Which?": ["That."]})
    assert (tmp_path / FILE).read_text() == before and json.loads(before)
    assert [path.name for path in tmp_path.iterdir()] == [answers.FILE]
