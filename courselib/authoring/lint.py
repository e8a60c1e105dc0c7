"""The house rules of lessons, each with the line it is broken at.

- A code cell has one idea: at most 15 lines (25 when tagged ``listing``), none wider than 79 columns, none of the form
  ``name = !command``.
- Prose between code: of two code cells in a row neither has more than 6 lines, and never are there three.
- A lesson opens with ``#`` and its title, "In this lesson you will" and a list; it closes with ``## What you have
  done`` and a list, then ``## What this did not prove`` and what that is.
- Prose avoids the patterns of English that ``english`` lists.
- A number with a unit of time, speed, memory or share has a badge in its paragraph; a setting's value is code.
- Questions stand together below ``## Check yourself``; the right option is the longest one in two of them at most.
- At least one cell is golden, so that the tests compare something.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from courselib.authoring import english, prose, quizzes
from courselib.authoring.blocks import split
from courselib.authoring.problem import Problem
from courselib.authoring.source import Cell, Lesson
from courselib.i18n import _

MAX_LINES, MAX_LISTING_LINES, MAX_COLUMNS = 15, 25, 79
MAX_LINES_WITHOUT_PROSE = 6
OPENING, CLOSING, CAVEAT = "In this lesson you will", "What you have done", "What this did not prove"

_UNITS = (
    r"ms|milliseconds?|µs|s|seconds?|tok/s|tokens?/s|tokens? (?:a|per) second|[kMGT]i?B|[kMGT]B/s|GiB/s|%|percent"
    r"|[x×]|times (?:as|faster|slower|more|less|smaller|larger)"
)
_CLAIM = re.compile(rf"(?<![\w.])\d[\d.,]*(?:\s|\u00a0)?(?:{_UNITS})(?![\w/])")
_DECADE = re.compile(r"\b\d{4}s\b")
_NOT_PROSE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)|\]\([^)]*\)|<!--.*?-->", re.DOTALL)
# IPython 7.34, which Colab has, takes it for a syntax error on Python 3.12 or newer.
_SHELL_ASSIGNMENT = re.compile(r"\s*\w+\s*=\s*!")
_HEADING = re.compile(r"^## +(.*?) *$")
_ITEM = re.compile(r"([-*]|\d+\.) ")


def lint(lesson: Lesson) -> Iterator[Problem]:
    """Everything that breaks a house rule in a lesson."""
    yield from prose_problems(lesson)
    for cell in lesson.cells:
        if cell.kind == "code":
            yield from _code_problems(lesson, cell)
    yield from _rows_of_code(lesson)
    yield from _frame_problems(lesson)
    yield from quizzes.problems(lesson)
    if not any("golden" in cell.tags for cell in lesson.cells):
        yield lesson.problem(_("no cell is golden: tag at least one whose output never varies."))


def prose_problems(lesson: Lesson) -> Iterator[Problem]:
    """What cannot be shown, and numbers that do not say where they come from."""
    for cell in lesson.cells:
        if cell.kind == "markdown":
            for offset, text in [
                *prose.problems(cell.source),
                *_unbadged(cell.source),
                *english.problems(cell.source),
            ]:
                yield lesson.problem(text, cell, offset)


def _unbadged(source: str) -> Iterator[tuple[int, str]]:
    for block in split(source):
        if block.kind != "text" or any(True for _role in prose.roles(block.text)):
            continue
        # Blanked out, not removed: the lines must keep their places.
        plain = _DECADE.sub("", _NOT_PROSE.sub(lambda found: "\n" * found[0].count("\n"), block.text))
        claim = _CLAIM.search(plain)
        if claim:
            yield (
                block.offset + plain.count("\n", 0, claim.start()),
                _(
                    "{claim!r} does not name its source; give it a badge, as {{measured}}`{claim}`, "
                    "or write a setting's value as code."
                ).format(claim=claim[0]),
            )


def _code_problems(lesson: Lesson, cell: Cell) -> Iterator[Problem]:
    lines = cell.source.rstrip().split("\n")
    most = MAX_LISTING_LINES if "listing" in cell.tags else MAX_LINES
    if not cell.source.strip():
        yield lesson.problem(_("this code cell is empty."), cell)
    if len(lines) > most:
        yield lesson.problem(
            _("{n} lines of code, at most {most} are allowed; split it, or import what is not the lesson.").format(
                n=len(lines), most=most
            ),
            cell,
        )
    for offset, line in enumerate(lines):
        if len(line) > MAX_COLUMNS:
            text = _("{n} columns, at most {most} are allowed.").format(n=len(line), most=MAX_COLUMNS)
            yield lesson.problem(text, cell, offset)
        if _SHELL_ASSIGNMENT.match(line):
            text = _("'name = !command' fails on Colab; use subprocess.run, or the command alone.")
            yield lesson.problem(text, cell, offset)


def _rows_of_code(lesson: Lesson) -> Iterator[Problem]:
    row: list[Cell] = []
    for cell in lesson.cells:
        row = [*row, cell] if cell.kind == "code" else []
        longest = max((len(each.source.rstrip().split("\n")) for each in row), default=0)
        if len(row) > 2 or (len(row) == 2 and longest > MAX_LINES_WITHOUT_PROSE):
            yield lesson.problem(_("write some text between this code cell and the one before it."), cell)


def _frame_problems(lesson: Lesson) -> Iterator[Problem]:
    texts = [
        (cell, block.text, block.offset)
        for cell in lesson.cells
        if cell.kind == "markdown"
        for block in split(cell.source)
        if block.kind == "text"
    ]
    yield from _opening_problems(lesson, [text for _cell, text, _offset in texts[:3]])
    headings = [index for index, (_cell, text, _offset) in enumerate(texts) if _HEADING.match(text)]
    names = [texts[index][1].strip("# ") for index in headings[-2:]]
    if names != [CLOSING, CAVEAT]:
        text = _("a lesson closes with the headings '## {closing}' and '## {caveat}'.")
        yield lesson.problem(text.format(closing=CLOSING, caveat=CAVEAT))
        return
    for index, name in zip(headings[-2:], names, strict=True):
        cell, _text, offset = texts[index]
        follower = texts[index + 1][1] if index + 1 < len(texts) else ""
        if name == CLOSING and not _ITEM.match(follower):
            yield lesson.problem(_("a list belongs below '## {heading}'.").format(heading=name), cell, offset)
        if not follower:
            yield lesson.problem(_("there is no text below '## {heading}'.").format(heading=name), cell, offset)


def _opening_problems(lesson: Lesson, texts: list[str]) -> Iterator[Problem]:
    if texts[:1] != [f"# {lesson.title}"]:
        yield lesson.problem(_("a lesson opens with its title: '# {title}'.").format(title=lesson.title))
    if len(texts) < 3 or not texts[1].startswith(OPENING) or not _ITEM.match(texts[2]):
        yield lesson.problem(_("below its title a lesson has '{opening}' and a list.").format(opening=OPENING))
