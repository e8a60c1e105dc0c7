"""The Deploy panel as a learner meets it: settings, a start, a stop, its cell run again, and its kernel's end."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]

# Pointing at such a label shows the word "null".
NAMELESS = """() => [...document.querySelectorAll('.cl-panel [title="null"]')]
    .filter(each => each.offsetParent).map(each => each.outerHTML)"""
SESSION = "window.jupyterapp.shell.currentWidget.sessionContext"
# How a kernel may come to its end; what is awaited is not its answer.
ENDS = {
    "restart": f"() => {{ {SESSION}.session.kernel.restart() }}",
    "shut down": f"() => {{ {SESSION}.shutdown() }}",
    "die": f"() => {{ {SESSION}.session.kernel.requestExecute({{code: 'import os; os._exit(1)'}}) }}",
}
# Of a log, its end is seen at first.
AT_END = """box => {
    const text = box.querySelector("pre").getBoundingClientRect();
    return Math.abs(text.bottom - box.getBoundingClientRect().bottom) < 2 && text.height > box.clientHeight;
}"""
SLIDER = ".cl-parallel .noUi-base, .cl-parallel .slider"


def desk(open_notebook, arguments="", *, theme="light", width=1280, height=1000):
    code = f"import courselib\ndesk = courselib.Deploy({arguments})\ndesk"
    notebook = open_notebook(code, theme=theme, width=width, height=height)
    # The room for the panel, not for the files.
    notebook.page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
    notebook.run_all()
    return notebook, notebook.page


def run_cell(notebook):
    """Run the first cell, as Shift+Enter does."""
    notebook.page.evaluate(
        "async () => {const run = name => window.jupyterapp.commands.execute(name);"
        "window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0; await run('notebook:run-cell')}"
    )


@pytest.mark.parametrize(("theme", "width"), [("light", 1200), ("dark", 700)])
def test_settings_a_start_and_a_stop(open_notebook, theme, width):
    notebook, page = desk(open_notebook, "context=1024", theme=theme, width=width, height=1200)
    panel, state = page.locator(".cl-panel"), page.locator(".cl-state")
    expect(state).to_have_text("not started")
    head = page.locator(".cl-head")
    expect(head.locator(".cl-start")).to_be_enabled()
    expect(page.locator(".cl-parallel")).to_be_hidden()
    notebook.screenshot(f"desk-first-{theme}-{width}", panel)

    # The others by the keyboard; each has room for its slider, and a sentence.
    page.get_by_role("button", name="More settings").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".cl-parallel")).to_be_visible()
    assert page.locator(SLIDER).first.bounding_box()["width"] > 100
    expect(page.locator(".cl-parallel label")).to_have_attribute("title", re.compile("requests served at once"))
    assert page.evaluate(NAMELESS) == []
    box = page.locator(".cl-model input")
    box.click()
    expect(box).to_have_value("")  # so that the list shows all names
    page.keyboard.press("Escape")
    page.locator(".cl-context select").focus()
    expect(box).to_have_value("smollm2-135m")
    page.locator(".cl-context select").select_option("512")
    expect(page.locator(".cl-command pre")).to_contain_text("--ctx-size 512")
    notebook.screenshot(f"desk-settings-{theme}-{width}", panel)

    head.locator(".cl-start").click()
    expect(state).to_have_text(re.compile("running, first token after"))
    expect(page.locator(".cl-facts")).to_contain_text("in RAM now")
    expect(page.locator(".cl-context select")).to_be_disabled()
    page.get_by_role("button", name="Log").click()
    expect(page.locator(".cl-log-box pre")).to_be_visible()
    expect(page.locator(".cl-log-box pre")).not_to_contain_text("all slots are idle")
    assert page.locator(".cl-newest").evaluate(AT_END)
    notebook.screenshot(f"desk-running-{theme}-{width}", panel)
    head.locator(".cl-stop").click()
    expect(state).to_have_text("stopped")
    assert page.locator(".cl-error").count() == 0
    assert not notebook.calls_outside()


def test_its_cell_run_again_ends_the_server_it_left(open_notebook):
    notebook, page = desk(open_notebook, "context=512")
    page.locator(".cl-start").click()
    state = page.locator(".cl-state")
    expect(state).to_have_text(re.compile("running, first token after"))
    pid = re.search(r"\d+", notebook.ask("print(desk.server.pid)"))[0]
    run_cell(notebook)
    expect(state).to_have_text("not started")
    gone = f"import os, time\nwhile os.path.exists('/proc/{pid}'): time.sleep(0.1)\nprint('gone')"
    assert "gone" in notebook.ask(gone)
    page.locator(".cl-start").click()
    expect(state).to_have_text(re.compile("running, first token after"))


@pytest.mark.parametrize(("theme", "end"), [("light", "restart"), ("dark", "shut down"), ("light", "die")])
def test_a_kernel_that_is_gone_is_said(open_notebook, theme, end):
    notebook, page = desk(open_notebook, "context=512", theme=theme)
    page.locator(".cl-start").click()
    expect(page.locator(".cl-state")).to_have_text(re.compile("running, first token after"))
    page.evaluate(ENDS[end])
    lost = page.locator(".cl-panel .cl-lost")
    expect(lost).to_have_text(re.compile("Run this cell again"))
    notebook.screenshot(f"desk-lost-{theme}-{end.replace(' ', '-')}")
    if end == "shut down":
        page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.changeKernel({name: 'python3'})")
    notebook.wait_for_kernel()
    run_cell(notebook)
    expect(page.locator(".cl-panel .cl-state")).to_have_text("not started")
    expect(lost).to_have_count(0)


def test_tgi_tells_what_it_refuses_and_what_it_ignores(open_notebook):
    notebook, page = desk(open_notebook, "'tgi'", theme="dark", height=1200)
    expect(page.locator(".cl-max-total-tokens select")).to_have_value("TGI's own")
    page.get_by_role("button", name="More settings").click()
    page.locator(".cl-max-total-tokens select").select_option("1024")
    page.locator(".cl-max-input-tokens select").select_option("2047")
    expect(page.locator(".cl-error")).to_contain_text("TGI refuses this")
    expect(page.locator(".cl-start")).to_be_disabled()
    page.locator(".cl-max-input-tokens select").select_option("511")
    expect(page.locator(".cl-error", has_text="TGI refuses this")).to_have_count(0)
    page.locator(".cl-waiting-served-ratio select").select_option("1.2")
    expect(page.locator(".cl-facts")).to_contain_text("not honoured here: prompts are read in chunks")
    expect(page.locator(".cl-command pre")).to_contain_text("--waiting-served-ratio 1.2")
    notebook.screenshot("desk-tgi", page.locator(".cl-panel"))


def test_the_gateway_starts_and_stops(open_notebook):
    notebook, page = desk(open_notebook, "'tgi-gateway'")
    expect(page.locator(".cl-head")).to_contain_text("TGI's protocol, llama.cpp's engine")
    page.locator(".cl-context select").select_option("512")
    page.locator(".cl-start").click()
    expect(page.locator(".cl-state")).to_have_text(re.compile("running, first token after"))
    expect(page.locator(".cl-facts")).to_contain_text("in RAM now")
    notebook.screenshot("desk-gateway", page.locator(".cl-panel"))
    page.locator(".cl-stop").click()
    expect(page.locator(".cl-state")).to_have_text("stopped")
    assert not notebook.calls_outside()
