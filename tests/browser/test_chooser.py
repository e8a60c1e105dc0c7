"""The chooser as a learner meets it: read in both themes, answered by mouse and by keyboard."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELL = 'import courselib\nchooser = courselib.Chooser(hardware="laptop")\nchooser'


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_answers_by_mouse_and_keyboard(open_notebook, theme):
    notebook = open_notebook(CELL, theme=theme, height=1250)
    page = notebook.page
    notebook.run_all()
    places = page.locator(".cl-chooser ol > li > b")
    expect(places).to_have_text(["llama.cpp", "vLLM", "TGI"])
    expect(page.locator(".cl-chooser")).to_contain_text("Changed: In maintenance mode since December 2025")
    notebook.screenshot(f"chooser-laptop-{theme}", page.locator(".cl-panel"))

    page.locator(".cl-hardware select").select_option("several NVIDIA GPUs")
    users = page.locator(".cl-users select")
    users.focus()
    page.keyboard.press("End")
    expect(users.locator("option:checked")).to_have_text("dozens and more")
    # From the last drop-down, Tab reaches the tick boxes, and Space ticks.
    page.locator(".cl-offline select").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(places.first).to_have_text("vLLM")
    expect(page.locator(".cl-state")).to_have_text("best: vLLM")
    expect(page.locator(".cl-chooser")).to_contain_text("Helm chart")
    expect(page.locator(".cl-code pre")).to_contain_text('courselib.launch("vllm"')
    page.locator(".cl-code").get_by_role("tab", name="TGI").click()
    expect(page.locator(".cl-code pre")).to_contain_text('courselib.launch("tgi"')
    notebook.screenshot(f"chooser-gpus-{theme}", page.locator(".cl-panel"))
    assert not notebook.calls_outside()
