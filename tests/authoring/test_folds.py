"""What a page hides until it is asked for: how it is written out, and what is wrong with it."""

from __future__ import annotations

import pytest

from courselib.authoring.prose import problems, render


def test_an_answer_keeps_its_paragraphs_and_its_code():
    source = ":::{answer}\nTwo.\n\n```python\n1 + 1\n```\n:::"
    lines = ["<details><summary>Answer</summary>", "", "Two.", "", "```python", "1 + 1", "```", "", "</details>"]
    assert render(source, str) == "\n".join(f"> {line}".rstrip() for line in lines) + "\n"
    assert "<summary>Why</summary>" in render(":::{answer} Why\nSo.\n:::", str)


def test_words_are_those_of_the_language():
    assert "<summary>ANSWER</summary>" in render(":::{answer}\nTwo.\n:::", str.upper)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (":::{answer}\n:::", "this fold is empty"),
        (":::{quiz}\n- [x] a\n  b\n- [ ] c\n  d\n:::", "has its question"),
        (":::{quiz} Q?\n- [x] a\n  b\n:::", "two options or more"),
        (":::{quiz} Q?\n- [ ] a\n  b\n- [ ] c\n  d\n:::", "two options or more"),
        (":::{quiz} Q?\n- [x] a\n  b\n- [ ] c\n:::", "has an explanation"),
        (":::{quiz} Q?\n- [x] a\n  b\n- c\n:::", "holds only options"),
        (":::{quiz} Q?\n- [x] a\n  b\n- [ ] c\n  d\n```\nx\n```\n:::", "holds only options"),
    ],
)
def test_what_is_wrong_is_said_at_its_line(source, words):
    found = list(problems("Text.\n\n" + source))
    assert [(offset, words in text) for offset, text in found] == [(2, True)]
