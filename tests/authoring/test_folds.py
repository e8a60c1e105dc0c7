"""What a page hides until it is asked for: how it is written out, and what is wrong with it."""

from __future__ import annotations

import pytest

from courselib.authoring.prose import problems, render

QUIZ = """Before.

:::{quiz} What does `max_tokens` limit?
- [ ] The prompt & the answer.
  Only the answer: the
  context limits both.
- [x] The `answer`.
  {measured}`60 tokens` in this lesson.
:::

After."""


def test_each_option_is_a_fold_with_its_verdict_and_its_reason():
    lines = render(QUIZ, str).splitlines()
    assert lines[0] == "Before." and lines[-1] == "After."
    assert all(line.startswith(">") for line in lines[2:-3])
    lines = [line.removeprefix(">").removeprefix(" ") for line in lines]
    assert "**Question.** What does `max_tokens` limit?" in lines
    first = lines.index("<details><summary>The prompt &amp; the answer.</summary>")
    # Markdown is read again after an empty line.
    assert lines[first + 1 : first + 5] == [
        "",
        "**Not quite.** Only the answer: the context limits both.",
        "",
        "</details>",
    ]
    second = lines.index("<details><summary>The <code>answer</code>.</summary>")
    assert lines[second + 2] == "**Right.** 60 tokens\u00a0<sup>measured</sup> in this lesson."
    assert list(problems(QUIZ)) == []


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
