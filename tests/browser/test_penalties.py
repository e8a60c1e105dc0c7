"""The penalty microscope as a learner meets it: two answers, their marks and rings, one step taken apart."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]

PROMPTS = {"en": "Write a poem about rain.", "zh": "今天的天氣怎麼樣？"}


def cells(prompt):
    return (
        'import courselib\nserver = courselib.launch("llama.cpp", context=1024)',
        f"panel = courselib.Penalties(server, prompt={prompt!r})\npanel",
    )


@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "zh")])
def test_two_settings_side_by_side(open_notebook, theme, language):
    notebook = open_notebook(*cells(PROMPTS[language]), theme=theme, width=1400, height=1500)
    page = notebook.page
    notebook.run_all()
    page.locator(".cl-run").click()
    expect(page.locator(".cl-state")).to_have_text("done", timeout=90_000)

    # Side A has no penalty and loops; side B has one.
    expect(page.locator(".cl-text-a svg")).to_have_count(1)
    expect(page.locator(".cl-text-b svg")).to_have_count(0)
    expect(page.locator(".cl-text-a .cl-again").first).to_have_attribute("title", re.compile("said before"))
    again = page.locator(".cl-text-a .cl-again").last
    again.scroll_into_view_if_needed()
    again.press("Enter")
    found = page.locator(".cl-text-a .cl-found")
    expect(found).to_be_visible()
    number = again.locator("sub").text_content()
    assert found.locator("sub").text_content() == number
    notebook.screenshot(f"penalties-found-{language}-{theme}", page.locator(".cl-text-a"))
    expect(found).to_have_count(0)
    expect(page.locator(".cl-text-a figcaption")).to_contain_text("a loop from token")
    expect(page.locator(".cl-panel")).not_to_contain_text("\ufffd")

    page.get_by_role("button", name="B", exact=True).click()
    handle = page.locator(".cl-step [role=slider], .cl-step .noUi-handle").first
    handle.focus()
    for _press in range(20):
        page.keyboard.press("ArrowRight")
    page.locator(".cl-look").click()
    expect(page.locator(".cl-logits th").first).to_have_text("token", timeout=90_000)
    expect(page.locator(".cl-logits")).to_contain_text("frequency_penalty=0.5")
    notebook.screenshot(f"penalties-{language}-{theme}", page.locator(".cl-panel"))
    assert page.locator(".cl-error").count() == 0
    assert not notebook.calls_outside()


def test_narrow(open_notebook):
    notebook = open_notebook(*cells(PROMPTS["en"]), width=760, height=1500)
    notebook.run_all()
    panel = notebook.page.locator(".cl-panel")
    box = panel.bounding_box()
    for side in ("a", "b"):
        inner = notebook.page.locator(f".cl-{side}-repetition-penalty").bounding_box()
        assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 1
    notebook.screenshot("penalties-narrow", panel)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_sweep(open_notebook, theme):
    notebook = open_notebook(
        cells(PROMPTS["en"])[0],
        "sweep = courselib.PenaltySweep(server, seeds=1, max_tokens=48)\nsweep",
        theme=theme,
    )
    page = notebook.page
    notebook.run_all()
    page.locator(".cl-run").click()
    expect(page.locator(".cl-state")).to_have_text("done", timeout=90_000)
    expect(page.locator(".cl-figure .cartesianlayer .js-line")).to_have_count(4)
    notebook.screenshot(f"sweep-{theme}", page.locator(".cl-panel"))
    assert not notebook.calls_outside()
