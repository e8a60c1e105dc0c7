"""By the keyboard alone: Tab finds everything, and each panel is asked, read and sent on without a mouse."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]

SERVER = 'import courselib\nserver = courselib.launch("llama.cpp", context=1024, parallel=2)'
MOST_TABS = 60
BUSY = """code => {
    window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute({code});
}"""


def opened(open_notebook, panel):
    notebook = open_notebook(SERVER, panel, width=1300, height=1500)
    notebook.run_all()
    page = notebook.page
    expect(page.locator(".cl-state")).to_have_text("not run yet")
    page.locator(".cl-prompt textarea").focus()
    return page


def tab_to(page, css):
    """Press Tab until what ``css`` finds has the focus."""
    for _press in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.evaluate("css => document.activeElement.matches(css)", css):
            return
    pytest.fail(f"Tab does not come to {css}")


def write(page, text):
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(text)


def test_next_token(open_notebook):
    page = opened(open_notebook, "courselib.NextToken(server)")
    write(page, "One, two,")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".cl-state")).to_have_text("done")
    expect(page.locator(".cl-next-after")).to_contain_text("One, two,")
    tab_to(page, ".cl-duel select")
    page.keyboard.press("End")
    expect(page.locator(".cl-legend-rival")).to_be_visible()
    tab_to(page, "[data-control=temperature] input[type=range]")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".cl-stage", has_text="temperature=")).to_have_count(1)
    tab_to(page, ".cl-stage")
    tab_to(page, ".cl-candidates .cl-candidate")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".cl-strip-sentence")).to_contain_text("Following")
    tab_to(page, ".cl-code summary")
    page.keyboard.press("Enter")
    expect(page.locator(".cl-code pre")).to_be_visible()


def test_does_it_really(open_notebook):
    page = opened(open_notebook, "courselib.DoesItReally(server, number=20)")
    tab_to(page, ".cl-run")
    page.keyboard.press("Enter")
    spoken = page.locator(".cl-view [role=status]")
    expect(spoken).to_contain_text("20 tokens")
    tab_to(page, ".cl-code summary")
    page.locator(".cl-prompt textarea").focus()
    tab_to(page, ".cl-order select")
    own = page.locator(".cl-verdict").inner_text()
    page.keyboard.press("End")
    expect(page.locator(".cl-verdict")).not_to_have_text(own)


def test_walk(open_notebook):
    page = opened(open_notebook, "courselib.Walk(server)")
    page.keyboard.press("Control+Enter")
    nodes = page.locator(".cl-walk-node")
    expect(nodes).to_have_count(1)
    tab_to(page, ".cl-likeliest")
    page.keyboard.press("Space")
    expect(nodes).to_have_count(2)
    tab_to(page, ".cl-walk-row")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(nodes).to_have_count(3)
    tab_to(page, ".cl-walk-node")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(nodes.first).to_have_attribute("aria-current", "true")


def test_penalty_sweep(open_notebook):
    page = opened(open_notebook, "courselib.PenaltySweep(server, seeds=2, max_tokens=8)")
    write(page, "Count.")
    tab_to(page, ".cl-control select")
    page.keyboard.press("Home")
    tab_to(page, ".cl-seeds [role=slider]")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".cl-seeds .widget-readout")).to_have_text("1")
    tab_to(page, ".cl-run")
    page.keyboard.press("Enter")
    expect(page.locator("svg.cl-lines")).to_have_attribute("aria-label", re.compile("repetition_penalty"))
    expect(page.locator(".cl-state")).to_have_text("done")


def test_stops(open_notebook):
    page = opened(open_notebook, "courselib.Stops(server, max_tokens=8)")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".cl-state")).to_have_text("done")
    tab_to(page, ".cl-route select")
    page.keyboard.press("End")
    tab_to(page, ".cl-ending")
    tab_to(page, ".cl-code summary")
    page.keyboard.press("Enter")
    expect(page.locator(".cl-code pre")).to_be_visible()


def test_penalties(open_notebook):
    page = opened(open_notebook, "courselib.Penalties(server, max_tokens=8)")
    write(page, "Count.")
    tab_to(page, ".cl-run")
    page.keyboard.press("Enter")
    expect(page.locator(".cl-state")).to_have_text("done")
    tab_to(page, ".cl-text-a .cl-word")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".cl-logits")).to_contain_text("Side A, token 1")


def test_a_click_does_not_overtake_what_was_typed(open_notebook):
    """While the kernel is at work, ipywidgets holds back all but the first of the changes."""
    page = opened(open_notebook, "panel = courselib.Penalties(server, max_tokens=8)\npanel")
    page.evaluate(BUSY, "import time; time.sleep(3)")
    write(page, "Count.")
    page.locator(".cl-run").click()
    expect(page.locator(".cl-state")).to_have_text("done")
    expect(page.locator(".cl-stale")).to_be_empty()


def test_playground(open_notebook):
    page = opened(open_notebook, "courselib.Playground(server, controls=courselib.Controls(max_tokens=8))")
    write(page, "Count.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".cl-state")).to_have_text("done")
    tab_to(page, ".cl-controls summary")
    page.keyboard.press("Enter")
    tab_to(page, "[data-control=temperature] input[type=range]")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".cl-stale")).to_contain_text("temperature")


def test_compare(open_notebook):
    notebook = open_notebook(
        SERVER,
        "few = courselib.Controls(max_tokens=8)\ncourselib.Compare((server, few), (server, few))",
        width=1300,
        height=1500,
    )
    notebook.run_all()
    page = notebook.page
    page.locator(".cl-prompt textarea").first.focus()
    write(page, "Count.")
    page.keyboard.press("Control+Enter")
    columns = page.locator(".cl-column")
    expect(columns).to_have_count(2)
    for column in columns.all():
        expect(column.locator(".cl-state")).to_have_text("done")
    tab_to(page, ".cl-column:last-child .cl-code summary")
    page.keyboard.press("Enter")
    expect(columns.last.locator(".cl-code pre")).to_be_visible()
