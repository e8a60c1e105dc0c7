"""Compare, Deploy and the Chooser without a running engine: the panels, and what a saved notebook keeps of them."""

import pytest
from playwright.sync_api import expect

from tests.browser.axe import grave_faults, script
from tests.panels.test_recording import SEVERAL

pytestmark = [pytest.mark.browser, pytest.mark.slow]

RECORDED = SEVERAL[next(iter(SEVERAL))]
PANEL = f"import courselib\npanel = courselib.Compare(recording={RECORDED!r})\npanel"
# As a page shows an output whose view has no kernel.
KEPT = """from IPython.display import HTML
def kept(panel):
    return HTML(f"<div class='test-kept'>{panel._repr_mimebundle_()['text/html']}</div>")
kept(panel)"""
CELLS = (PANEL, KEPT, "kept(courselib.Deploy(context=2048))", "kept(courselib.Chooser(hardware='laptop'))")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_answers_side_by_side_without_an_engine(open_notebook, theme):
    script()
    notebook = open_notebook(*CELLS, theme=theme, width=1300, height=5000)
    notebook.run_all()
    page = notebook.page
    panel, kept = page.locator(".cl-compare"), page.locator(".test-kept")
    expect(kept).to_have_count(3)
    expect(panel.locator("> .cl-head .cl-state")).to_have_text("recorded")
    expect(panel.locator("> .cl-head .cl-badge")).to_contain_text("recorded on")
    expect(panel.locator(".cl-column")).to_have_count(3)
    expect(panel.locator("table.cl-differences")).to_contain_text("min_p")
    expect(kept.nth(0)).to_contain_text("3 · vllm")
    expect(kept.nth(0).locator("table")).to_have_count(2)
    expect(kept.nth(1)).to_contain_text("--ctx-size 2048")
    expect(kept.nth(2)).to_contain_text("best: llama.cpp")
    notebook.settle(".test-kept")
    notebook.screenshot(f"compare-recorded-{theme}", panel)
    for at, name in enumerate(("compare", "deploy", "chooser")):
        notebook.screenshot(f"kept-{name}-{theme}", kept.nth(at))
    assert grave_faults(page, ".test-kept") == [] and not notebook.calls_outside()
    panel.locator(".cl-run").click()
    expect(panel.locator(".cl-column .cl-error")).to_have_count(3)
    expect(panel.locator(".cl-column .cl-error").first).to_contain_text("This is a recording")
