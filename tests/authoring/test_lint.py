"""The house rules: each is broken once, and named with its line."""

from __future__ import annotations

import pytest

from courselib.authoring import build
from courselib.authoring.lint import lint
from courselib.authoring.tags import TAGS
from tests.authoring.project import fixture, make_project, read

LESSON = fixture("lesson.md")
GOLDEN = ":tags: [golden]\ntext"
PLAIN = "Most English letters take one byte, 一個漢字 takes three."


def problems(tmp_path, text: str) -> list[str]:
    report = build(make_project(tmp_path, bytes=text), execute=False)
    return [line for problem in report.problems for line in problem.splitlines()]


def changed(tmp_path, old: str, new: str) -> list[str]:
    assert LESSON.count(old) == 1, old
    return problems(tmp_path, LESSON.replace(old, new))


def test_a_good_lesson_has_no_problems(tmp_path):
    assert list(lint(read(make_project(tmp_path, bytes=LESSON), "bytes"))) == []


def test_an_unknown_tag_names_lesson_cell_and_line_and_the_known_ones(tmp_path):
    assert changed(tmp_path, GOLDEN, ":tags: [goldn]\ntext")[0] == (
        "lessons/bytes.md:19: cell 2: unknown tag 'goldn'; known are " + ", ".join(TAGS) + "."
    )


BREAKS = {
    "setup is not for authors": (GOLDEN, ":tags: [golden, setup]\ntext", "19: cell 2: unknown tag 'setup'"),
    "tags not a list": (GOLDEN, ":tags: golden\ntext", "18: tags are a list: ':tags: [golden]'"),
    "unknown option": (GOLDEN, ":tag: [golden]\ntext", "19: cell 2: unknown cell option 'tag'"),
    "golden but not run": (
        GOLDEN,
        ":tags: [golden, no-execute]\ntext",
        "19: cell 2: a cell that is not run everywhere",
    ),
    "no golden": (GOLDEN, "text", "1: no cell is golden"),
    "too wide": ("len(text), len", "len(text)," + " " * 70 + "len", "20: cell 2: 98 columns, at most 79"),
    "a command's output kept": ("len(text), len(text.encode())", "kept = !ls", "20: cell 2: 'name = !command' fails"),
    "code without prose": (
        "A widget is kept as its text.\n",
        "```{code-cell} ipython3\n" + "print()\n" * 7 + "```\n",
        "37: cell 5: write some text between",
    ),
    "three in a row": (
        "A widget is kept as its text.\n",
        "```{code-cell} ipython3\n1\n```\n",
        "42: cell 6: write some text between",
    ),
    "empty code": ('open("/nowhere/at/all")\n', "", "cell 10: this code cell is empty"),
    "nested code": (PLAIN, "- a\n\n  ```{code-cell}\n  1\n  ```", "8: cell 1: a code cell begins inside this cell"),
    "unclosed code": ("len(text), len(text.encode())\n```", "1", "19: cell 2: a code cell begins inside this cell"),
    "raw cell": (PLAIN, "```{raw-cell}\nx\n```", "cell 2: raw cells are not allowed"),
    "unknown directive": ("```{tip}", "```{danger}", "45: cell 7: unknown directive 'danger'; known are note, tip"),
    "unclosed directive": (
        "token, 25 % <https://example.org/tokens>`.\n:::",
        "x <y>`.",
        "cell 3: a fence is opened here",
    ),
    "nested directive": (
        "Guess before you run it.",
        "::::{tip}\nNo.\n::::",
        "24: cell 3: a directive inside a directive",
    ),
    "stray end": (PLAIN, ":::\nA", "15: cell 1: unknown directive ''"),
    "unknown role": (PLAIN, "See {ref}`there`.", "15: cell 1: unknown role 'ref'; known are measured"),
    "link target": (PLAIN, "(there)=", "15: cell 1: link targets are not known"),
    "quoted without source": (
        PLAIN,
        "Two lines,\n{quoted}`24x faster`.",
        "16: cell 1: what is quoted needs its source: {quoted}`24x faster <https://…>`.",
    ),
    "badge around nothing": (PLAIN, "{measured}` <here>`", "15: cell 1: a badge wraps what it is about"),
    "another title": ("# Counting bytes", "# Bytes", "1: a lesson opens with its title: '# Counting bytes'"),
    "title not first": ("# Counting bytes", "Hello.\n\n# Counting bytes", "1: a lesson opens with its title"),
    "no opening": ("In this lesson you will", "We will", "1: below its title a lesson has 'In this lesson you will'"),
    "no list": ("- count the bytes", "count the bytes", "1: below its title a lesson has"),
    "no closing": ("## What you have done", "## Summary", "1: a lesson closes with the headings '## What you have"),
    "no caveat": ("## What this did not prove", "## Bye", "1: a lesson closes with the headings '## What you have"),
    "no closing list": ("- counted bytes", "Counted bytes.", "61: cell 11: a list belongs below '## What you have"),
    "empty caveat": ("Nothing about tokens.", "", "65: cell 11: there is no text below '## What this did not prove'"),
    "no title": ("title: Counting bytes", "title: ' '", "1: the front matter needs a title"),
    "minutes are a number": ("minutes: 5", "minutes: five", "1: the front matter needs minutes"),
    "minutes in range": ("minutes: 5", "minutes: 0", "1: the front matter needs minutes"),
    "unknown level": ("level: beginner", "level: easy", "1: the front matter needs a level: beginner,"),
    "unknown need": ("needs: []", "needs: [tpu]", "1: the front matter needs a list 'needs'"),
    "unknown kernel": (
        "level: beginner",
        "level: beginner\nkernel: julia",
        "1: the front matter's kernel is one of: python3, vllm.",
    ),
    "a kernel that is not needed": (
        "level: beginner",
        "level: beginner\nkernel: vllm",
        "1: a lesson in the kernel vllm needs vllm; add it to 'needs'.",
    ),
    "unknown key": (
        "level: beginner",
        "level: beginner\nauthor: me",
        "1: the front matter has an unknown key 'author'",
    ),
    "title of another type": ("title: Counting bytes", "title:", "lessons/bytes.md: cannot be read: None is not"),
    "front matter of another type": ("title: Counting bytes", "- a", "lessons/bytes.md: cannot be read: "),
    "bad front matter": ("title: Counting bytes", "title: a: b: [", "lessons/bytes.md: "),
    "bad options": (GOLDEN, ":tags: [golden\ntext", "lessons/bytes.md: "),
    "bad metadata": (PLAIN, '+++ {"tags": ', "lessons/bytes.md: "),
}


@pytest.mark.parametrize(("old", "new", "words"), BREAKS.values(), ids=BREAKS.keys())
def test_a_broken_rule_is_named_with_its_line(tmp_path, old, new, words):
    found = changed(tmp_path, old, new)
    where = words if words.startswith("lessons/") else f"lessons/bytes.md:{words}"
    line = words.split(":", 1)[0].isdigit()
    assert any(problem.startswith(where) if line or where == words else words in problem for problem in found), found


@pytest.mark.parametrize(
    ("lines", "tag", "fine"), [(15, "", True), (16, "", False), (25, "listing", True), (26, "listing", False)]
)
def test_the_length_of_code(tmp_path, lines, tag, fine):
    cell = f":tags: [golden, {tag}]\n" if tag else ":tags: [golden]\n"
    body = "\n".join(["1"] * lines)
    found = changed(tmp_path, GOLDEN + ' = "一個漢字"\nlen(text), len(text.encode())', cell + body)
    assert found == [] if fine else f"19: cell 2: {lines} lines of code, at most {lines - 1}" in found[0]


@pytest.mark.parametrize(
    "claim",
    ["5 ms", "0.4 s", "41.5 tok/s", "41 tokens/s", "40 tokens a second", "98 MB", "1.5 GiB", "24x", "3×", "80%", "7 %",
     "2 times faster", "1,000 milliseconds"],
)  # fmt: skip
def test_a_number_without_a_badge(tmp_path, claim):
    found = changed(tmp_path, PLAIN, f"It\ntakes {claim}, as they say.")
    assert found == [found[0]]
    assert found[0].startswith(f"lessons/bytes.md:16: cell 1: '{claim}' does not name its source")


@pytest.mark.parametrize(
    "text",
    ["It has {measured}`41 tokens/s`, twice 20 tokens/s.", "`--wait 5 s` waits.", "In the 1990s, 16x16 were 3 sizes.",
     "Version 1.2 of 3 parts; smollm2-135M.", "[a](https://example.org/80%)", "> a quote of 3 lines"],
)  # fmt: skip
def test_numbers_that_need_no_badge(tmp_path, text):
    assert changed(tmp_path, PLAIN, text) == []


def test_the_badge_must_be_in_the_same_list_item(tmp_path):
    found = changed(tmp_path, PLAIN, "- {measured}`41 tokens/s`\n- 98 MB")
    assert found[0].startswith("lessons/bytes.md:16: cell 1: '98 MB'")


def test_all_problems_of_a_lesson_are_listed_in_order(tmp_path):
    text = LESSON.replace(PLAIN, "98 MB").replace("```{tip}", "```{danger}").replace("- counted bytes", "x")
    found = problems(tmp_path, text)
    assert [problem.split(":")[1] for problem in found] == ["15", "45", "61"]


def test_not_utf8(tmp_path):
    root = make_project(tmp_path)
    (root / "lessons" / "bytes.md").write_bytes(b"\xff\xfe")
    assert build(root).problems == ["lessons/bytes.md: this is not UTF-8; save it as UTF-8."]
