"""Playground as a learner meets it: keys that send, prompt and answer in view, and the mark of an older answer."""

import pytest
from playwright.sync_api import expect

from tests.browser.test_desks import NAMELESS

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]

CELL = """import courselib
server = courselib.launch("llama.cpp", context=1024)
panel = courselib.Playground(server, prompt="Hello", controls=courselib.Controls(max_tokens=60, temperature=0))
panel"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [700, 1200])
def test_a_key_sends_and_an_answer_is_marked_once_a_control_has_moved(open_notebook, theme, width):
    notebook = open_notebook(CELL, theme=theme, width=width)
    notebook.run_all()
    page = notebook.page
    panel = page.locator(".cl-panel")
    prompt = panel.locator(".cl-prompt textarea")
    assert panel.locator(".cl-run").bounding_box()["y"] - prompt.bounding_box()["y"] < 120, "Send beside the prompt"
    prompt.fill("Repeat exactly: 你好，世界！臺灣")
    prompt.press("Control+Enter")
    expect(panel.locator(".cl-state")).to_have_text("done")
    expect(panel.locator(".cl-tokens-text")).to_contain_text("你好")
    expect(panel.locator(".cl-facts")).to_contain_text("time to first token")
    notebook.screenshot(f"playground-{theme}-{width}", panel)
    panel.locator(".cl-controls summary").first.click()
    panel.locator(".cl-control[data-control=temperature] input[type=range]").press("ArrowRight")
    expect(panel.locator(".cl-stale")).to_contain_text("Settings changed since this answer: temperature.")
    expect(panel.locator(".cl-state")).to_have_text("not run yet")
    notebook.screenshot(f"playground-changed-{theme}-{width}", panel)
    assert panel.evaluate("panel => panel.scrollWidth <= panel.clientWidth"), "nothing is cut off"
    assert page.evaluate(NAMELESS) == []
