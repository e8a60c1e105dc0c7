"""The stop inspector as a learner meets it: the cut, the accounts of all routes, the curve of the end."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]

ASKED = {
    "en": ("Name the capital of France in one short sentence.", ("ari", "\n")),
    "zh": ("今天的天氣怎麼樣？", ("天氣",)),
}
# What sticks out of the panel to the right, if anything.
STICKING_OUT = """panel => [...panel.querySelectorAll("td, th, svg, textarea, button, .cl-ending")]
    .filter(each => each.getBoundingClientRect().width
        && each.getBoundingClientRect().right > panel.getBoundingClientRect().right)
    .map(each => each.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize(
    ("theme", "language", "width"), [("light", "en", 1200), ("dark", "zh", 1200), ("dark", "en", 700)]
)
def test_what_is_cut_and_why_it_ended(open_notebook, theme, language, width):
    prompt, stop = ASKED[language]
    notebook = open_notebook(
        'import courselib\nserver = courselib.launch("llama.cpp", context=1024)',
        f"panel = courselib.Stops(server, prompt={prompt!r}, stop={stop!r}, max_tokens=24)\npanel",
        theme=theme,
        width=width,
        height=1500,
    )
    page = notebook.page
    notebook.run_all()
    panel = page.locator(".cl-panel")
    page.locator(".cl-run").click()
    expect(page.locator(".cl-state")).to_have_text("done")

    marked = page.locator(".cl-ending .cl-stop-string")
    expect(marked.first).to_be_visible()
    assert "".join(marked.all_text_contents()) == stop[0]
    rows = page.locator(".cl-accounts table").first.locator("tr")
    expect(rows).to_have_count(11)
    expect(rows.nth(1)).to_contain_text("word")
    expect(page.locator("svg.cl-lines")).to_be_visible()
    expect(page.locator(".cl-gauge-legend")).to_contain_text("1024 tokens")
    assert panel.evaluate(STICKING_OUT) == []
    notebook.screenshot(f"stops-{language}-{theme}-{width}", panel)

    if language == "en":
        page.locator(".cl-route select").select_option("TGI /generate")
        expect(page.locator(".cl-ending .cl-cut")).to_have_count(0)
        stops = page.locator(".cl-stop textarea")
        stops.fill("France")
        stops.press("Tab")
        expect(marked).to_have_text(["France"])
        expect(page.locator(".cl-accounts")).to_contain_text("before the settings were changed")
        page.get_by_text("More settings").click()
        page.locator(".cl-ignore-eos input").check()
        expect(page.locator(".cl-stale")).to_contain_text("ignore_eos")
        notebook.screenshot(f"stops-changed-{theme}-{width}", panel)
    assert page.locator(".cl-error").count() == 0
    assert not notebook.calls_outside()
