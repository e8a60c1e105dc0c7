"""Figures in prose against their sources.

A ``measured`` figure is what this lesson shows: it agrees with a number that a cell puts out in the same section, from
one ``##`` heading to the next. It is rounded as it is written, or within a quarter where the claim says "about".

A ``recorded`` figure was seen earlier: a row (or a paragraph) of a page kept here holds all of its numbers, and the
conditions that the badge names; a page of ``docs`` is taken as a whole. The page is ``RECORDED``, unless the badge
names another one behind a semicolon:

    {recorded}`25 to 34 s <vLLM 0.32, two idle cores>`
    {recorded}`within 5 % or 32 MiB <two cores; benchmarks/results/memory.md>`
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from courselib.authoring import prose
from courselib.authoring.blocks import Block, split
from courselib.authoring.problem import Problem
from courselib.i18n import _

if TYPE_CHECKING:
    from courselib.authoring.notebook import Built
    from courselib.authoring.source import Cell, Lesson

RECORDED = "benchmarks/results/lessons.md"
RESULTS, DOCS = "benchmarks/results/", "docs/"
ABOUT = 0.25
_ABOUT = re.compile(r"\b(about|some|around|almost|nearly|roughly)\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?![\w])")
_ONE_TO_TEN = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_WORDS = {word: str(n) for n, word in enumerate(_ONE_TO_TEN, start=1)}
_WORD = re.compile(r"\b(" + "|".join(_WORDS) + r")\b", re.IGNORECASE)
_ONE = re.compile(r"\ban? (?=second|minute|hour)", re.IGNORECASE)
# A number with what is written to it: b11549, Q4_1, 0.32.0.
_MARK = re.compile(r"-?\w*\d(?:[\w.,]*\w)?")


@dataclass(frozen=True)
class Figure:
    """A badge in prose.

    Args:
        kind: ``"measured"``, ``"recorded"``, …
        claim: what it is about.
        source: conditions or source, empty where it has none.
        cell: where it stands.
        offset: its line in the cell, from 0.
        section: which section of the lesson, from 0.
    """

    kind: str
    claim: str
    source: str
    cell: Cell
    offset: int
    section: int


def recorded_problems(root: Path, lesson: Lesson) -> Iterator[Problem]:
    """Recorded figures that no page of this repository has."""
    for figure in figures(lesson):
        if figure.kind == "recorded" and (text := _missing(root, figure)):
            yield lesson.problem(text, figure.cell, figure.offset)


def measured_problems(lesson: Lesson, built: Built) -> Iterator[Problem]:
    """Measured figures that no cell of their section shows; none as long as a lesson has not run."""
    if "executed" not in built.notebook.metadata.courselib:
        return
    shown = _shown(lesson, built)
    for figure in figures(lesson):
        if figure.kind != "measured":
            continue
        text = shown.get(figure.section, "")
        if not text:
            problem = _(
                "no cell of this section shows anything that was measured; {claim!r} is recorded, or needs one."
            )
            yield lesson.problem(problem.format(claim=figure.claim), figure.cell, figure.offset)
        for number in _missing_numbers(figure.claim, text):
            problem = _(
                "no output in this section says {number}, as {claim!r} does; run the lesson, or mend the claim."
            )
            yield lesson.problem(problem.format(number=number, claim=figure.claim), figure.cell, figure.offset)


def figures(lesson: Lesson) -> Iterator[Figure]:
    """The badges of a lesson, in the order of the text."""
    for cell, block, section in _blocks(lesson):
        for found in prose.roles(block.text) if block.kind == "text" else ():
            claim, source = prose.claim_and_source(found["claim"])
            offset = block.offset + block.text.count("\n", 0, found.start())
            yield Figure(found["role"], _one_line(claim), _one_line(source), cell, offset, section)


def _blocks(lesson: Lesson) -> Iterator[tuple[Cell, Block, int]]:
    section = 0
    for cell in lesson.cells:
        for block in split(cell.source) if cell.kind == "markdown" else ():
            section += block.kind == "text" and block.text.startswith("## ")
            yield cell, block, section


def _shown(lesson: Lesson, built: Built) -> dict[int, str]:
    """What the cells of each section put out, as text."""
    sections = {cell.number: section for cell, _block, section in _blocks(lesson)}
    shown: dict[int, str] = {}
    section = 0
    for cell, origin in zip(built.notebook.cells, built.origins, strict=True):
        if origin:
            section = sections.get(origin.number, section)
        if origin and origin.kind == "code":
            shown[section] = shown.get(section, "") + "".join(f"{_text(output)}\n" for output in cell.outputs)
    return shown


def _text(output: dict[str, object]) -> str:
    # Pictures are full of numbers that nobody reads; each has a twin in text.
    data = output.get("data", {})
    return f"{output.get('text', '')} {data.get('text/plain', '') if isinstance(data, dict) else ''}"


def _missing_numbers(claim: str, shown: str) -> list[str]:
    there = [float(each.replace(",", "")) for each in _NUMBER.findall(shown)]
    is_about = bool(_ABOUT.search(claim))
    return [each for each in _NUMBER.findall(_with_digits(claim)) if not any(_agrees(each, n, is_about) for n in there)]


def _agrees(written: str, shown: float, is_about: bool) -> bool:
    number = float(written.replace(",", ""))
    rounding = 0.5 * 10 ** -len(written.partition(".")[2])
    tolerance: float = max(rounding, ABOUT * abs(number) if is_about else 0)
    return abs(number - shown) <= tolerance + 1e-9


def _missing(root: Path, figure: Figure) -> str:
    """What is wrong with a recorded figure; empty if nothing is."""
    if not figure.source:
        return _("a recorded figure names its conditions: {{recorded}}`{claim} <two cores, November 2026>`.").format(
            claim=figure.claim
        )
    conditions, page = _conditions_and_page(figure.source)
    try:
        text = (root / page).read_text(encoding="utf-8")
    except OSError:
        return _("there is no {page} that would keep what was recorded.").format(page=page)
    preamble, *_rest = text.split("\n|", 1)
    wanted = _marks(figure.claim)
    for row in _rows(text) if page.startswith(RESULTS) else [_one_line(text)]:
        whole = _with_digits(f"{preamble} {row}").lower()
        has_numbers = wanted <= _marks(row) if wanted else figure.claim.lower() in row.lower()
        if has_numbers and all(_with_digits(each).lower() in whole for each in conditions):
            return ""
    return _(
        "no row of {page} has {claim!r} under these conditions; add what was recorded there, or mend the claim."
    ).format(page=page, claim=figure.claim)


def _conditions_and_page(source: str) -> tuple[list[str], str]:
    before, _semicolon, last = source.rpartition(";")
    named = last.strip()
    if named.startswith((RESULTS, DOCS)):
        return [each.strip() for each in before.split(",") if each.strip()], named
    return [each.strip() for each in source.split(",")], RECORDED


def _rows(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        lines = [_one_line(line) for line in paragraph.split("\n")]
        yield from lines if paragraph.lstrip().startswith("|") else [" ".join(lines)]


def _marks(text: str) -> set[str]:
    return set(_MARK.findall(_with_digits(text)))


def _with_digits(text: str) -> str:
    return _WORD.sub(lambda found: _WORDS[found[0].lower()], _ONE.sub("1 ", text))


def _one_line(text: str) -> str:
    return " ".join(text.split())
