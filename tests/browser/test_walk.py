"""The panel Walk as a learner meets it: tokens taken by keyboard and mouse, another way, and back; both themes."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]

PROMPTS = {"en": "The weather today is", "zh": "今天的天氣"}


@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "zh")])
def test_a_walk_with_two_ways(open_notebook, theme, language):
    notebook = open_notebook(
        'import courselib\nserver = courselib.launch("llama.cpp", context=1024)',
        f"panel = courselib.Walk(server, prompt={PROMPTS[language]!r})\npanel",
        theme=theme,
        width=1300,
        height=1300,
    )
    notebook.run_all()
    page = notebook.page
    panel = page.locator(".cl-panel")
    expect(page.locator(".cl-walk-empty")).to_contain_text("Press Begin")
    page.locator(".cl-run").click()
    rows, nodes = page.locator(".cl-walk-row"), page.locator(".cl-walk-node")
    expect(rows.first).to_be_visible()
    expect(nodes).to_have_count(1)

    # By keyboard: down to the second candidate, and take it; the focus stays among the candidates.
    rows.first.focus()
    page.keyboard.press("ArrowDown")
    second = page.locator(".cl-walk-row:focus .cl-walk-token").inner_text()
    page.keyboard.press("Enter")
    expect(nodes).to_have_count(2)
    expect(page.locator(".cl-walk-here .cl-walk-token")).to_have_text(second)
    expect(page.locator(".cl-walk-row:focus")).to_have_count(1)
    expect(page.locator(".cl-walk-prompt")).to_have_text(PROMPTS[language])
    # Clicks that come faster than the engine answers wait for one another.
    for name in (".cl-engine", ".cl-likeliest", ".cl-likeliest"):
        page.locator(name).click()
    expect(nodes).to_have_count(5)
    page.locator(".cl-back").click()
    expect(nodes.nth(3)).to_have_attribute("aria-current", "true")

    # Back to the prompt's end, and another way; the first one is kept.
    nodes.first.click()
    expect(nodes.first).to_have_attribute("aria-current", "true")
    rows.nth(2).click()
    expect(nodes).to_have_count(6)
    expect(page.locator(".cl-state")).to_have_text("done")
    page.locator(".cl-code summary").click()
    expect(page.locator(".cl-code pre")).to_contain_text("logit_bias={token: 100}")
    notebook.screenshot(f"walk-{language}-{theme}", panel)
    expect(panel).not_to_contain_text("\ufffd")
    assert page.locator(".cl-error").count() == 0
    assert not notebook.calls_outside()
