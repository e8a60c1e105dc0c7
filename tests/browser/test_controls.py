"""Controls as a learner meets them: each row by keyboard, the code that follows it, and servers side by side."""

import re

import pytest
from playwright.sync_api import expect

from courselib.controls.catalogue import CONTROLS
from courselib.controls.controls import Controls
from courselib.controls.routes import ROUTES
from courselib.panels.controls_form import ControlsForm

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]

PLAYGROUND = """import courselib
server = courselib.launch("llama.cpp", context=1024)
panel = courselib.Playground(server, prompt="Hello", controls=courselib.Controls())
panel"""
COMPARE = """import courselib
server = courselib.launch("llama.cpp", context=1024)
other = courselib.launch("tgi-gateway", max_total_tokens=1024)
panel = courselib.Compare(
    server,
    (other, courselib.Controls(max_tokens=60, seed=42, presence_penalty=0.5)),
    prompt="Repeat exactly: 你好，世界！臺灣",
)
panel"""
FOUR = """import courselib
server = courselib.launch("llama.cpp", context=1024)
courselib.Compare(
    *[(server, courselib.Controls(temperature=t, max_tokens=24, seed=1)) for t in (0, 0.5, 1, 1.5)],
    prompt="Name a colour.",
)"""
ROWS = {row["name"]: row for group in ControlsForm(Controls()).groups for row in group["rows"]}
SLIDERS = [name for name, row in ROWS.items() if row.get("slider")]


def open_all(page, css):
    for fold in page.locator(f"{css} details").all():
        if fold.get_attribute("open") is None:
            fold.locator("summary").click()


def row(page, name):
    return page.locator(f".cl-control[data-control={name}]").first


def openai_program(page):
    return page.locator(".cl-code pre").first


def sent(name, value):
    """The arguments that llama.cpp's chat route gets for a control, or nothing."""
    return ROUTES["llama.cpp chat"].plan(Controls(**{name: value})).arguments


def test_every_slider_moves_by_keyboard_and_the_code_follows(open_notebook):
    notebook = open_notebook(PLAYGROUND, height=2400)
    notebook.run_all()
    page = notebook.page
    open_all(page, ".cl-controls")
    page.locator(".cl-code summary").click()
    code, notes = openai_program(page), page.locator(".cl-code ul")
    assert len(SLIDERS) > 12
    for name in SLIDERS:
        place = row(page, name)
        slider, box = place.locator("input[type=range]"), place.locator("input[type=checkbox]")
        expect(box).not_to_be_checked()
        expect(slider).to_have_attribute("aria-valuetext", "not sent")
        slider.focus()
        before = float(slider.input_value())
        page.keyboard.press("ArrowRight" if before < float(slider.get_attribute("max")) else "ArrowLeft")
        expect(box).to_be_checked()
        value = float(slider.input_value())
        assert abs(value - before) == pytest.approx(CONTROLS[name].step)
        assert place.locator("input[type=number]").input_value() == f"{value:g}", "with no digits of binary"
        arguments = sent(name, value)
        for argument, spelled in arguments.items():
            expect(code).to_contain_text(re.compile(rf'\b{argument}"?(=|: ){re.escape(repr(spelled))},?'))
        if not arguments:
            expect(notes).to_contain_text(f"{name}: this route has no such control")
            expect(place.locator(".cl-lost")).to_contain_text("not available this route")
        box.focus()
        page.keyboard.press("Space")
        expect(box).not_to_be_checked()
        for argument in arguments:
            expect(code).not_to_contain_text(re.compile(rf'\b{argument}"?[=:]'))
    assert not notebook.calls_outside()


def test_numbers_texts_and_flags_by_keyboard(open_notebook):
    notebook = open_notebook(PLAYGROUND, "print(panel.form.controls)", height=2400)
    notebook.run_all()
    page = notebook.page
    open_all(page, ".cl-controls")
    page.locator(".cl-code summary").click()
    code = openai_program(page)
    for name, css, keys, argument in (
        ("seed", "input[type=number]", "77", "seed=77,"),
        ("temperature", "input[type=number]", "0.35", "temperature=0.35,"),
        ("top_k", "input[type=number]", "500", '"top_k": 500'),  # beyond what the slider shows
        ("stop", "textarea", "\\n\\n\n###", 'stop=["\\n\\n", "###"],'),
        ("logit_bias", "textarea", "28: -5", "logit_bias={28: -5.0},"),
        ("ignore_eos", "select", "y", '"ignore_eos": True'),
    ):
        row(page, name).locator(css).focus()
        page.keyboard.type(keys)
        expect(code).to_contain_text(argument)
        expect(row(page, name).locator("input[type=checkbox]")).to_be_checked()
    page.get_by_text("print(panel.form.controls)").click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".jp-OutputArea-output pre").last).to_contain_text(
        "Controls(temperature=0.35, top_k=500, stop=('\\n\\n', '###'), ignore_eos=True, seed=77, logit_bias={28: -5.0})"
    )
    # Emptied, a row is no longer sent; what is out of range is told in a sentence.
    row(page, "seed").locator("input[type=number]").fill("")
    expect(code).not_to_contain_text("seed")
    expect(row(page, "seed").locator("input[type=checkbox]")).not_to_be_checked()
    row(page, "temperature").locator("input[type=number]").fill("3")
    expect(page.locator(".cl-error")).to_contain_text("temperature is 3; give a number from 0 to 2.")


def test_the_kernel_fills_in_the_form(open_notebook):
    assign = "panel.form.controls = courselib.Controls(min_p=0.3, stop=['a\\n'], ignore_eos=False)"
    notebook = open_notebook(PLAYGROUND, assign)
    notebook.run_all()
    page = notebook.page
    expect(row(page, "min_p").locator("input[type=number]")).to_have_value("0.3")
    expect(row(page, "min_p").locator("input[type=range]")).to_have_value("0.3")
    expect(row(page, "stop").locator("textarea")).to_have_value("a\\n")
    expect(row(page, "ignore_eos").locator("select")).to_have_value("no")
    expect(row(page, "seed").locator("input[type=number]")).to_have_value("")
    expect(row(page, "top_k").locator("input[type=number]")).to_have_attribute("placeholder", "40")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_compare_answers_side_by_side(open_notebook, theme):
    notebook = open_notebook(COMPARE, theme=theme, height=1500)
    notebook.run_all()
    page = notebook.page
    differences = page.locator(".cl-differences")
    expect(differences).to_contain_text("1 · llama.cpp")
    expect(differences.locator("tr", has_text="presence_penalty")).to_contain_text("0.5 (means something else)")
    page.locator("button.cl-run").click()
    expect(page.locator(".cl-compare > .cl-head .cl-state")).to_have_text("done")
    expect(page.locator(".cl-panel [role=status].cl-spoken").first).to_have_text("done")
    columns = page.locator(".cl-column")
    left, right = columns.nth(0), columns.nth(1)
    assert left.bounding_box()["y"] == right.bounding_box()["y"], "side by side"
    for column in (left, right):
        expect(column.locator(".cl-token").first).to_be_visible()
        expect(column.locator(".cl-facts")).to_contain_text("time to first token")
    expect(right.locator(".cl-facts")).to_contain_text("length")
    left.locator(".cl-used summary").click()
    expect(left.locator(".cl-told tr", has_text="top_k")).to_contain_text("40")
    # The first group of the left column: a change there is one more difference, or one less.
    left.locator("summary", has_text="choosing the token").click()
    right.locator("summary", has_text="repetition").click()
    temperature = row(left, "temperature").locator("input[type=range]")
    for _turn in range(4):
        temperature.press("ArrowRight")
    expect(row(left, "temperature")).to_contain_text("sent as temperature=1")
    expect(differences.locator("tr", has_text="temperature")).to_have_count(0)
    expect(row(right, "presence_penalty").locator(".cl-care")).to_contain_text("means something else")
    notebook.screenshot(f"compare-{theme}", page.locator(".cl-panel"))
    # Each field is described by the text that stands beside it, which an id found twice on a page would not be.
    assert page.locator(".cl-panel").evaluate("""panel =>
        [...panel.querySelectorAll("[aria-describedby]")].every((field) =>
            field.getAttribute("aria-describedby").split(" ").every((id) =>
                field.closest(".cl-control").contains(document.getElementById(id))))
    """)
    assert not notebook.calls_outside()


def test_four_columns_stand_two_by_two_and_below_each_other_on_a_narrow_page(open_notebook):
    notebook = open_notebook(FOUR, height=1800)
    notebook.run_all()
    page = notebook.page
    page.locator("button.cl-run").click()
    expect(page.locator(".cl-compare > .cl-head .cl-state")).to_have_text("done")
    columns = page.locator(".cl-column").all()
    assert len({column.bounding_box()["x"] for column in columns}) == 2
    notebook.screenshot("compare-four", page.locator(".cl-panel"))
    page.set_viewport_size({"width": 800, "height": 1800})
    page.wait_for_function(
        "() => new Set([...document.querySelectorAll('.cl-column')].map(c => c.offsetLeft)).size === 1"
    )
    panel = page.locator(".cl-panel")
    assert panel.evaluate("panel => panel.scrollWidth <= panel.clientWidth"), "nothing is cut off"
    notebook.screenshot("compare-narrow", panel)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_whole_form(open_notebook, theme):
    """Pictures for a person to look at, of every row, and none of its texts cut off."""
    notebook = open_notebook(PLAYGROUND, theme=theme, height=1900)
    notebook.run_all()
    page = notebook.page
    open_all(page, ".cl-controls")
    notebook.screenshot(f"form-{theme}", page.locator(".cl-panel"))
    cut = "rows => rows.filter(row => row.scrollWidth > row.clientWidth + 1).map(row => row.dataset.control)"
    assert page.locator(".cl-control").evaluate_all(cut) == []
