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
    notebook = open_notebook(*cells(PROMPTS[language]), theme=theme, width=1200, height=1500)
    page = notebook.page
    notebook.run_all()
    page.locator(".cl-run").click()
    expect(page.locator(".cl-state")).to_have_text("done")

    # Side A has no penalty and loops; side B has one.
    expect(page.locator(".cl-text-a svg")).to_have_count(1)
    expect(page.locator(".cl-text-b svg")).to_have_count(0)
    again = page.locator(".cl-text-a sub[data-first]").last
    expect(again).to_have_attribute("title", re.compile("repeated: go to its first place"))
    again.scroll_into_view_if_needed()
    again.press("Enter")
    found = page.locator(".cl-text-a .cl-found")
    expect(found).to_be_visible()
    assert found.locator("sub").text_content() == again.text_content()
    notebook.screenshot(f"penalties-found-{language}-{theme}", page.locator(".cl-text-a"))
    expect(found).to_have_count(0)
    expect(page.locator(".cl-text-a figcaption")).to_contain_text("a loop from token")
    expect(page.locator(".cl-panel")).not_to_contain_text("\ufffd")

    # A token is taken apart by a click, and by the keys alone.
    page.locator(".cl-text-b .cl-word").nth(8).click()
    expect(page.locator(".cl-logits thead th").first).to_have_text("token")
    expect(page.locator(".cl-logits")).to_contain_text("frequency_penalty=0.5")
    expect(page.locator(".cl-text-b .cl-picked")).to_have_count(1)
    expect(page.locator(".cl-state")).to_have_text("done")
    words = page.locator(".cl-text-b .cl-word")
    words.nth(8).press("ArrowRight")
    expect(words.nth(9)).to_be_focused()
    words.nth(9).press("Enter")
    expect(words.nth(9)).to_have_attribute("aria-pressed", "true")
    expect(words.nth(9)).to_be_focused()
    notebook.screenshot(f"penalties-{language}-{theme}", page.locator(".cl-panel"))
    assert page.locator(".cl-error").count() == 0
    assert not notebook.calls_outside()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_narrow(open_notebook, theme):
    notebook = open_notebook(*cells(PROMPTS["en"]), theme=theme, width=700, height=1500)
    notebook.run_all()
    page = notebook.page
    panel = page.locator(".cl-panel")
    page.locator(".cl-form-b summary").click()
    expect(page.locator(".cl-form-b [data-control=presence_penalty] .cl-control-help")).to_be_visible()
    box = panel.bounding_box()
    for side in ("a", "b"):
        inner = page.locator(f".cl-form-{side} .cl-controls").bounding_box()
        assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 1
    page.locator(".cl-run").click()
    expect(page.locator(".cl-state")).to_have_text("done")
    page.locator(".cl-text-a .cl-word").nth(3).click()
    expect(page.locator(".cl-logits thead th").first).to_have_text("token")
    assert page.locator(".cl-scrolls").bounding_box()["width"] <= box["width"]
    notebook.screenshot(f"penalties-narrow-{theme}", panel)


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
    expect(page.locator(".cl-state")).to_have_text("done")
    expect(page.locator("svg.cl-lines g.cl-line")).to_have_count(4)
    expect(page.locator("svg.cl-lines")).to_have_attribute("aria-label", re.compile("repetition and its cure"))
    notebook.screenshot(f"sweep-{theme}", page.locator(".cl-panel"))
    assert not notebook.calls_outside()
