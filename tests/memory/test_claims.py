"""The table of headline figures: each place that it names is there, and no claim is called shown that is not."""

from pathlib import Path

import pytest

from courselib.authoring.source import read_lesson
from courselib.memory.claims import CLAIMS, PAGE, page

ROOT = Path(__file__).parents[2]
each_claim = pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.figure)


def code_below(lesson, part):
    """Code cells between a heading and the next one, of a lesson."""
    found, inside = [], False
    for cell in read_lesson(ROOT, ROOT / "lessons" / f"{lesson}.md").cells:
        if cell.kind == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("#"):
                    inside = line.lstrip("#").strip() == part
        elif inside:
            found.append(cell.source)
    return found


@each_claim
def test_each_place_named_has_code(claim):
    for shown in claim.shown:
        assert code_below(shown.lesson, shown.part)


@each_claim
def test_a_claim_is_quoted_or_shown(claim):
    assert bool(claim.shown) == (claim.kind != "quoted")


@each_claim
def test_each_has_a_row_with_its_source(claim):
    (row,) = [line for line in page().splitlines() if claim.figure in line]
    assert claim.url in row
    assert row.count(" | ") == 5


def test_the_page_in_the_docs_is_the_tables():
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page()
