"""The course as a learner opens it: the start page, a lesson without outputs, and progress kept over a restart."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from courselib.questions.answers import FILE
from tests.browser.conftest import KERNEL_READY, PREVIEW, show
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]
LESSON = "00_start_here.ipynb"


def test_a_lesson_from_the_start_page_and_progress_after_a_restart(opened, screenshots):
    folder, start, visit = opened
    with start() as process:
        page = visit(process)
        page.screenshot(path=Path(screenshots) / "start-page.png")
        page.locator(PREVIEW).get_by_role("link", name="00 Start here").first.click()
        cells = page.locator(".jp-Notebook .jp-CodeCell")
        expect(cells.first).to_be_visible()
        assert page.locator(".jp-OutputArea-output").count() == 0  # no answer stands below its question
        page.evaluate(KERNEL_READY)
        cells.first.locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        expect(cells.first.locator(".jp-InputPrompt").first).to_have_text("[1]:")
        page.keyboard.press("Control+s")
        wait_until(lambda: '"execution_count": 1' in (folder / LESSON).read_text(), 120)

        hidden = show(page, "details:has-text('Who wrote it?')")
        expect(hidden).not_to_contain_text("The authors", use_inner_text=True)
        hidden.locator("summary").click()
        expect(hidden).to_contain_text("The authors", use_inner_text=True)
        show(page, ".jp-CodeCell:has-text('courselib.Quiz(')").locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        question = page.locator(".cl-question").first
        question.get_by_role("button", name="The answer reached").click()
        expect(question).to_contain_text("Right. It may stop", use_inner_text=True)
        wait_until(lambda: (folder / FILE).exists(), 120)
        page.screenshot(path=Path(screenshots) / "quiz.png")
        page.close()
    with start() as process:
        page = visit(process)
        expect(page.locator(f"{PREVIEW} tr", has_text="00 Start here")).to_contain_text(
            re.compile(r"1 of \d+ cells run, 1 of 5 questions answered")
        )
        expect(page.locator(PREVIEW)).to_contain_text("Go on with 00 Start here")
        page.screenshot(path=Path(screenshots) / "start-page-later.png")


def test_a_term_in_a_lesson_opens_the_glossary_at_that_term(opened, screenshots):
    _folder, start, visit = opened
    with start() as process:
        page = visit(process)
        expect(page.locator(PREVIEW).get_by_role("link", name="llama.cpp: cheat sheet")).to_be_visible()
        page.locator(PREVIEW).get_by_role("link", name="30 Where").first.click()
        link = show(page, ".jp-RenderedMarkdown a[href*='glossary.md'] >> text=KV cache")
        page.screenshot(path=Path(screenshots) / "glossary-link.png")
        link.click()
        term = page.locator(f"{PREVIEW}:visible h2", has_text="KV cache")
        expect(term).to_be_in_viewport()
        page.screenshot(path=Path(screenshots) / "glossary.png")
        page.close()
