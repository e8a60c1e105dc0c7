"""The stop inspector as a learner meets it: the cut, the accounts of all routes, the curve of the end."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]

ASKED = {
    "en": ("Name the capital of France in one short sentence.", ("ari",)),
    "zh": ("今天的天氣怎麼樣？", ("天氣",)),
}


@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "zh")])
def test_what_is_cut_and_why_it_ended(open_notebook, theme, language):
    prompt, stop = ASKED[language]
    notebook = open_notebook(
        'import courselib\nserver = courselib.launch("llama.cpp", context=1024)',
        f"panel = courselib.Stops(server, prompt={prompt!r}, stop={stop!r}, max_tokens=24)\npanel",
        theme=theme,
        height=1500,
    )
    page = notebook.page
    notebook.run_all()
    page.locator(".cl-run").click()
    expect(page.locator(".cl-state")).to_have_text("done", timeout=90_000)

    expect(page.locator(".cl-ending .cl-stop")).to_have_text(list(stop[0]))
    rows = page.locator(".cl-accounts table").first.locator("tr")
    expect(rows).to_have_count(11)
    expect(rows.nth(1)).to_contain_text("word")
    expect(page.locator(".cl-figure")).to_be_visible()
    expect(page.locator(".cl-gauge")).to_be_visible()
    notebook.screenshot(f"stops-{language}-{theme}", page.locator(".cl-panel"))

    if language == "en":
        page.locator(".cl-route select").select_option("TGI /generate")
        expect(page.locator(".cl-ending .cl-cut")).to_have_count(0)
        stops = page.locator(".cl-stops textarea")
        stops.fill("France")
        stops.press("Tab")
        expect(page.locator(".cl-ending .cl-stop")).to_have_text(list("France"))
        notebook.screenshot(f"stops-kept-{theme}", page.locator(".cl-panel"))
    assert page.locator(".cl-error").count() == 0
    assert not notebook.calls_outside()
