"""The panel "Does it really?" as a learner meets it: draws fall onto bars, and a wrong order fails, in both themes."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]

PROMPTS = {"en": "The weather today is", "zh": "今天的天氣"}


@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "zh")])
def test_its_own_order_and_anothers(open_notebook, theme, language):
    notebook = open_notebook(
        'import courselib\nserver = courselib.launch("llama.cpp", context=1024, parallel=4)',
        "controls = courselib.Controls(temperature=1.5, top_k=20, top_p=0.7, min_p=0.05)\n"
        f"panel = courselib.DoesItReally(server, prompt={PROMPTS[language]!r}, controls=controls)\npanel",
        theme=theme,
        width=1300,
        height=1300,
    )
    notebook.run_all()
    page = notebook.page
    panel = page.locator(".cl-panel")
    expect(page.locator(".cl-really-empty")).to_contain_text("Press Sample")
    page.locator(".cl-run").click()
    expect(page.locator(".cl-really-drawn").first).to_be_visible()
    expect(page.locator(".cl-state")).to_have_text("done")
    expect(page.locator(".cl-verdict")).to_contain_text("500 tokens agree with this distribution")
    own = page.locator(".cl-really tbody tr").count()
    notebook.screenshot(f"really-own-{language}-{theme}", panel)

    page.locator(".cl-order select").select_option("vllm")
    expect(page.locator(".cl-verdict")).to_contain_text("the engine does not sample from it")
    assert page.locator(".cl-really tbody tr").count() > own
    notebook.screenshot(f"really-wrong-{language}-{theme}", panel)

    # A slider by the keyboard: another setting, of which nothing was drawn yet; and back again.
    page.locator(".cl-order select").select_option(index=0)
    slider = page.locator("[data-control=temperature] input[type=range]")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".cl-verdict")).not_to_contain_text("500 tokens")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".cl-verdict")).to_contain_text("500 tokens agree")
    expect(panel).not_to_contain_text("\ufffd")
    assert page.locator(".cl-error").count() == 0
    assert not notebook.calls_outside()
