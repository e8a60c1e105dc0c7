"""The desks of the other engines as a learner meets them: rules told as settings change, and a start."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]


def desk(open_notebook, engine, theme):
    notebook = open_notebook(f"import courselib\ndesk = courselib.Deploy({engine!r})\ndesk", theme=theme)
    notebook.run_all()
    return notebook, notebook.page


def test_tgi_tells_what_it_refuses_and_what_it_ignores(open_notebook):
    notebook, page = desk(open_notebook, "tgi", "dark")
    expect(page.locator(".cl-max-total-tokens select")).to_have_value("TGI's own")
    page.locator(".cl-max-total-tokens select").select_option("1024")
    page.locator(".cl-max-input-tokens select").select_option("2047")
    expect(page.locator(".cl-error")).to_contain_text("TGI refuses this")
    expect(page.locator(".cl-start")).to_be_disabled()
    page.locator(".cl-max-input-tokens select").select_option("511")
    expect(page.locator(".cl-error")).to_have_count(0)
    page.locator(".cl-waiting-served-ratio select").select_option("1.2")
    expect(page.locator(".cl-facts")).to_contain_text("not honoured here: prompts are read in chunks")
    expect(page.locator(".cl-command pre")).to_contain_text("--waiting-served-ratio 1.2")
    notebook.screenshot("desk-tgi", page.locator(".cl-panel"))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_gateway_starts_and_stops(open_notebook, theme):
    notebook, page = desk(open_notebook, "tgi-gateway", theme)
    expect(page.locator(".cl-head")).to_contain_text("TGI's protocol, llama.cpp's engine")
    page.locator(".cl-context select").select_option("512")
    page.locator(".cl-start").click()
    expect(page.locator(".cl-state")).to_have_text(re.compile("running, first token after"), timeout=60_000)
    expect(page.locator(".cl-facts")).to_contain_text("in RAM now")
    expect(page.locator(".cl-context select")).to_be_disabled()
    notebook.screenshot(f"desk-gateway-{theme}", page.locator(".cl-panel"))
    page.locator(".cl-stop").click()
    expect(page.locator(".cl-state")).to_have_text("stopped", timeout=30_000)
    assert not notebook.calls_outside()
