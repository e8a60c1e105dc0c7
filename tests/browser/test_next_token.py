"""The panel "Next token" as a learner meets it: sliders by keyboard, a token followed, the duel, both themes."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]

PROMPTS = {"en": "The weather today is", "zh": "今天的天氣"}


def cells(prompt):
    return (
        'import courselib\nserver = courselib.launch("llama.cpp", context=1024)',
        "controls = courselib.Controls(temperature=1.5, top_k=20, top_p=0.7, min_p=0.05)\n"
        f"panel = courselib.NextToken(server, prompt={prompt!r}, controls=controls)\npanel",
    )


def looked_at(open_notebook, language, **view):
    notebook = open_notebook(*cells(PROMPTS[language]), **view)
    notebook.run_all()
    expect(notebook.page.locator(".cl-next-empty")).to_contain_text("Press Look")
    notebook.page.locator(".cl-run").click()
    expect(notebook.page.locator(".cl-state")).to_have_text("done")
    return notebook, notebook.page


def survivors(page):
    return page.locator(".cl-candidates .cl-candidate:not(.cl-gone):visible").count()


@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "zh")])
def test_sliders_tokens_and_the_duel(open_notebook, theme, language):
    notebook, page = looked_at(open_notebook, language, theme=theme, width=1300, height=1900)
    panel = page.locator(".cl-panel")
    expect(page.locator(".cl-candidates .cl-candidate:visible")).to_have_count(30)
    before = survivors(page)
    notebook.screenshot(f"next-{language}-{theme}", panel)

    # A slider by the keyboard: more probability, more survivors.
    page.locator("[data-control=top_p] input[type=range]").focus()
    for _press in range(10):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".cl-stage", has_text="top_p=0.8")).to_have_count(1)
    assert survivors(page) > before

    # Arrow keys go from token to token; the strip says what each stage makes of the one in hand.
    first = page.locator(".cl-candidates .cl-candidate").first
    first.focus()
    expect(page.locator(".cl-stage-followed").first).to_have_text(re.compile("%"))
    page.keyboard.press("End")
    last = page.locator(".cl-candidates .cl-candidate:focus")
    expect(last).to_have_class(re.compile("cl-gone"))
    expect(page.locator(".cl-stage.cl-gone").first).to_contain_text("✕")
    expect(page.locator(".cl-strip-sentence")).to_contain_text("Following")
    notebook.screenshot(f"next-followed-{language}-{theme}", panel)

    page.locator(".cl-duel select").select_option("vllm")
    expect(page.locator(".cl-next-duel p").first).to_contain_text("They differ from where llama.cpp applies top_k=20")
    expect(page.locator(".cl-legend-rival")).to_contain_text("vLLM")
    page.locator(".cl-stage", has_text="top_k=20").focus()
    expect(page.locator(".cl-strip-sentence")).to_contain_text("49132 of 49152 tokens go")
    notebook.screenshot(f"next-duel-{language}-{theme}", panel)
    page.locator(".cl-prompt textarea").focus()
    expect(page.locator(".cl-followed")).to_have_count(0)

    expect(panel).not_to_contain_text("\ufffd")
    assert page.locator(".cl-error").count() == 0
    assert not notebook.calls_outside()


def test_the_focus_stays_with_its_token_while_a_slider_moves(open_notebook):
    _notebook, page = looked_at(open_notebook, "en")
    token = page.locator(".cl-candidates .cl-candidate").nth(3)
    token.focus()
    before = token.get_attribute("data-id")
    page.evaluate(
        """() => {const slider = document.querySelector("[data-control=temperature] input[type=range]");
        slider.value = 0.5; slider.dispatchEvent(new Event("input"));}"""
    )
    expect(page.locator(".cl-stage", has_text="temperature=0.5")).to_have_count(1)
    expect(page.locator(".cl-candidates .cl-candidate:focus")).to_have_attribute("data-id", before)


def test_narrow(open_notebook):
    notebook, page = looked_at(open_notebook, "en", width=760, height=2200)
    page.locator(".cl-duel select").select_option("tgi")
    expect(page.locator(".cl-legend-rival")).to_be_visible()
    panel = page.locator(".cl-panel")
    notebook.screenshot("next-narrow", panel)
    box = panel.bounding_box()
    for part in (".cl-strip", ".cl-candidates", ".cl-next-facts"):
        inner = page.locator(part).bounding_box()
        assert inner["x"] + inner["width"] <= box["x"] + box["width"] + 1


def test_pointing_at_a_token_leaves_the_list_where_it_is(open_notebook):
    _notebook, page = looked_at(open_notebook, "en", width=1300, height=1900)
    for place in (0, 3, 0, 12):
        row = page.locator(".cl-candidates .cl-candidate").nth(place)
        before = row.bounding_box()
        page.mouse.move(before["x"] + 40, before["y"] + before["height"] / 2)
        expect(row).to_have_attribute("aria-selected", "true")
        expect(page.locator(".cl-candidates [aria-selected=true]")).to_have_count(1)
        # Two frames later everything has been laid out anew.
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert row.bounding_box() == before
        expect(row).to_have_attribute("aria-selected", "true")
