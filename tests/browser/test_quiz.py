"""A lesson's questions as a learner meets them: by mouse and keyboard, explained, and kept over a restart."""

import json

import pytest
from playwright.sync_api import expect

from courselib.questions.answers import FILE
from courselib.questions.questions import read
from tests.browser.axe import grave_faults, script
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LESSON = "20_generation"
CELL = f"import courselib\n\nquiz = courselib.Quiz({LESSON!r})\nquiz"


@pytest.fixture
def kept(jupyter):
    """What the learner's file holds for the lesson; there is none at first."""
    path = jupyter.root / FILE
    path.unlink(missing_ok=True)
    yield lambda: json.loads(path.read_text(encoding="utf-8")).get(LESSON, {}) if path.exists() else {}
    path.unlink(missing_ok=True)


@pytest.mark.parametrize(("theme", "width"), [("light", 1200), ("dark", 600)])
def test_answered_by_mouse_and_keyboard_and_kept(open_notebook, kept, theme, width):
    first, second = read(LESSON)[:2]
    right = next(at for at, option in enumerate(first.options) if option.is_right)
    wrong = next(at for at, option in enumerate(first.options) if not option.is_right)
    notebook = open_notebook(CELL, theme=theme, width=width, height=1400)
    notebook.run_all()
    page = notebook.page
    boxes = page.locator(".cl-question")
    expect(boxes).to_have_count(5)
    expect(page.locator(".cl-why:visible")).to_have_count(0)

    # The mouse: a wrong option, then the right one; both stay explained, and the first try counts.
    options = boxes.nth(0).locator(".cl-option")
    options.nth(wrong).click()
    expect(boxes.nth(0)).to_contain_text("Not quite.", use_inner_text=True)
    expect(boxes.nth(0).locator(".cl-why:visible")).to_have_count(1)
    options.nth(right).click()
    expect(boxes.nth(0)).to_contain_text("Right.", use_inner_text=True)
    expect(page.locator(".cl-state")).to_have_text("1 of 5 answered, 0 right at the first try")

    # The keyboard: a question is one stop, an arrow moves and chooses nothing.
    page.keyboard.press("Tab")
    expect(boxes.nth(1).locator(".cl-option").nth(0)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(boxes.nth(1).locator(".cl-option").nth(1)).to_be_focused()
    expect(boxes.nth(1).locator(".cl-why:visible")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(boxes.nth(1).locator(".cl-why:visible")).to_have_count(1)
    expect(boxes.nth(1).locator(".cl-option").nth(1)).to_be_focused()
    expect(page.locator("[role=status]", has_text="Not quite.")).to_have_count(1)
    expected = {first.key: first.words([wrong, right]), second.key: second.words([1])}
    wait_until(lambda: kept() == expected, 60)
    notebook.screenshot(f"quiz-{theme}-{width}")

    script()
    assert grave_faults(page, ".cl-panel") == []
    assert not notebook.calls_outside()

    # A new kernel, and so after a restart.
    notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    expect(page.locator(".cl-lost")).to_be_visible()
    notebook.run_all()
    expect(page.locator(".cl-why:visible")).to_have_count(3)
    expect(page.locator(".cl-state")).to_contain_text("2 of 5 answered")
    assert "✓ " in notebook.ask("print(quiz.as_table())")

    page.get_by_role("button", name="Answer again").click()
    expect(page.locator(".cl-why:visible")).to_have_count(0)
    wait_until(lambda: kept() == {}, 60)
