"""The house rules of lessons, each with the line it is broken at.

- A code cell has one idea: at most 15 lines (25 when tagged ``listing``), none wider than 79 columns.
- Prose between code: of two code cells in a row neither has more than 6 lines, and never are there three.
- A lesson opens with ``## You will`` and a list, and closes with ``## You have`` and a list, then ``## What this did
  not prove`` and what that is.
- A number with a unit of time, speed, memory or share has a badge in its paragraph; a setting's value is code.
- At least one cell is golden, so that the tests compare something.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from courselib.authoring import prose
from courselib.authoring.blocks import split
from courselib.authoring.problem import Problem
from courselib.authoring.source import Cell, Lesson
from courselib.i18n import _

MAX_LINES, MAX_LISTING_LINES, MAX_COLUMNS = 15, 25, 79
MAX_LINES_WITHOUT_PROSE = 6
OPENING, CLOSING, CAVEAT = "You will", "You have", "What this did not prove"

_UNITS = (
    r"ms|milliseconds?|µs|s|seconds?|tok/s|tokens?/s|tokens? (?:a|per) second|[kMGT]i?B|[kMGT]B/s|GiB/s|%|percent"
    r"|[x×]|times (?:as|faster|slower|more|less|smaller|larger)"
)
_CLAIM = re.compile(rf"(?<![\w.])\d[\d.,]*(?:\s|\u00a0)?(?:{_UNITS})(?![\w/])")
_DECADE = re.compile(r"\b\d{4}s\b")
_NOT_PROSE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)|\]\([^)]*\)|<!--.*?-->", re.DOTALL)
_HEADING = re.compile(r"^## +(.*?) *$")


def lint(lesson: Lesson) -> Iterator[Problem]:
    """Everything that breaks a house rule in a lesson."""
    yield from prose_problems(lesson)
    for cell in lesson.cells:
        if cell.kind == "code":
            yield from _code_problems(lesson, cell)
    yield from _rows_of_code(lesson)
    yield from _frame_problems(lesson)
    if not any("golden" in cell.tags for cell in lesson.cells):
        yield lesson.problem(_("no cell is golden: tag at least one whose output never varies."))


def prose_problems(lesson: Lesson) -> Iterator[Problem]:
    """What cannot be shown, and numbers that do not say where they come from."""
    for cell in lesson.cells:
        if cell.kind == "markdown":
            for offset, text in [*prose.problems(cell.source), *_unbadged(cell.source)]:
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
                    "{claim!r} does not say where it comes from; give it a badge, as {{measured}}`{claim}`, "
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


def _rows_of_code(lesson: Lesson) -> Iterator[Problem]:
    row: list[Cell] = []
    for cell in lesson.cells:
        row = [*row, cell] if cell.kind == "code" else []
        longest = max((len(each.source.rstrip().split("\n")) for each in row), default=0)
        if len(row) > 2 or (len(row) == 2 and longest > MAX_LINES_WITHOUT_PROSE):
            yield lesson.problem(_("say something between this code cell and the one before it."), cell)


def _frame_problems(lesson: Lesson) -> Iterator[Problem]:
    headings: list[tuple[str, Cell, int]] = []
    followers: dict[str, str] = {}
    for cell in lesson.cells:
        for block in split(cell.source) if cell.kind == "markdown" else ():
            if block.kind == "text" and block.text.startswith("# "):
                yield lesson.problem(_("the title is in the front matter; begin headings with ##."), cell, block.offset)
            found = _HEADING.match(block.text) if block.kind == "text" else None
            if found:
                headings.append((found[1], cell, block.offset))
            elif block.kind != "blank" and headings:
                followers.setdefault(headings[-1][0], block.text)
    names = [name for name, _cell, _offset in headings]
    if names[:1] != [OPENING] or not lesson.cells[0].source.startswith("## "):
        yield lesson.problem(_("a lesson opens with the heading '## {heading}'.").format(heading=OPENING))
    if names[-2:] != [CLOSING, CAVEAT]:
        yield lesson.problem(
            _("a lesson closes with the headings '## {closing}' and '## {caveat}'.").format(
                closing=CLOSING, caveat=CAVEAT
            )
        )
    for name, cell, offset in headings:
        follower = followers.get(name, "")
        if name in (OPENING, CLOSING) and not re.match(r"([-*]|\d+\.) ", follower):
            yield lesson.problem(_("a list belongs below '## {heading}'.").format(heading=name), cell, offset)
        if not follower:
            yield lesson.problem(_("nothing is said below '## {heading}'.").format(heading=name), cell, offset)
