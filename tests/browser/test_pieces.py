"""The panels' pieces in JupyterLab: hover, keyboard, clipboard, both themes."""

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

TOKENS = """
import math
from courselib.panels.token_text import TokenText
from courselib.answers.stream import Token

view = TokenText()
view.add_class("test-tokens")


def feed(pieces, chances=(0.97, 0.62, 0.31, 0.11, 0.02)):
    for at, piece in enumerate(pieces):
        chance = chances[at % len(chances)]
        others = ((piece, math.log(chance)), (" else".encode(), math.log(0.02)), (b"\\xe4\\xbd", math.log(0.004)))
        view.feed(Token(piece, math.log(chance), others))
    view.finish()


view
"""
FEED = """
words = "The tide rises because the Moon pulls the sea .\\n\\nSecond\\tline :".split(" ")
chinese = [bytes([byte]) for byte in "月亮把海水拉起來。".encode()]
emoji = ["👨‍👩‍👧‍👦".encode()[:7], "👨‍👩‍👧‍👦".encode()[7:], "🇹🇼".encode(), " ok".encode(), b"<|im_end|>", b"", b"\\xff"]
feed([b"The"] + [b" " + word.encode() for word in words[1:]] + [b" "] + chinese + emoji)
"""
LONG = 'feed([f" word{n}".encode() for n in range(400)])'
CODE = """
from courselib.panels.code_fold import CodeFold

program = 'print("你好, world")\\nfor n in range(3):\\n    print(n)  # three times\\n'
fold = CodeFold({"openai": program, "curl": "curl -N http://127.0.0.1\\n"})
fold.notes = ["This engine does not honour min_tokens."]
fold.add_class("test-fold")
fold
"""
THEMES = pytest.mark.parametrize("theme", ["light", "dark"])


@THEMES
def test_tokens_by_mouse_and_keyboard(open_notebook, theme):
    notebook = open_notebook(TOKENS, FEED, theme=theme)
    notebook.run_all()
    page = notebook.page
    tokens = page.locator(".test-tokens .cl-token")
    expect(tokens).to_have_count(27)
    text = page.locator(".test-tokens .cl-tokens-text")
    assert "月亮把海水拉起來。" in text.inner_text()
    assert "\ufffd" not in text.inner_text()

    card = page.locator(".test-tokens .cl-tokens-card")
    expect(card).to_be_hidden()
    page.get_by_role("option", name="Moon").hover()
    expect(card).to_be_visible()
    expect(card).to_contain_text("97.0 %")
    expect(card).to_contain_text("⟨0xE4⟩⟨0xBD⟩")
    notebook.screenshot(f"tokens-hover-{theme}")
    page.mouse.move(0, 0)
    expect(card).to_be_hidden()

    tokens.nth(0).focus()
    expect(card).to_contain_text("97.0 %")
    page.keyboard.press("ArrowRight")
    expect(tokens.nth(1)).to_be_focused()
    expect(card).to_contain_text("62.0 %")
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    expect(tokens.nth(1)).to_be_focused()
    page.keyboard.press("End")
    expect(tokens.last).to_be_focused()
    expect(card).to_be_visible()
    notebook.screenshot(f"tokens-focus-{theme}")
    page.keyboard.press("Tab")
    expect(card).to_be_hidden()


def test_the_card_is_there_when_the_keyboard_scrolls(open_notebook):
    notebook = open_notebook(TOKENS, LONG + "\nview", height=600)
    notebook.run_all()
    page = notebook.page
    page.locator(".test-tokens .cl-token").first.focus()
    page.keyboard.press("End")
    notebook.settle(".test-tokens .cl-token:focus")
    card = page.locator(".test-tokens .cl-tokens-card:popover-open")
    expect(card).to_contain_text("word399")
    token = page.locator(".test-tokens .cl-token:focus").bounding_box()
    assert abs(card.bounding_box()["y"] - token["y"]) < 200


def test_a_view_opened_late_shows_the_same(open_notebook):
    notebook = open_notebook(TOKENS, "for piece in (b'one', b' two', b' three'): view.feed(Token(piece))", "view")
    notebook.run_all()
    boxes = notebook.page.locator(".test-tokens .cl-tokens-text")
    expect(boxes).to_have_count(2)
    expect(boxes.nth(0)).to_have_text("one two")
    expect(boxes.nth(1)).to_have_text("one two")


def test_a_long_answer_costs_traffic_in_proportion(open_notebook):
    notebook = open_notebook(TOKENS, LONG)
    notebook.run_all()
    expect(notebook.page.locator(".test-tokens .cl-token")).to_have_count(400)
    assert notebook.received_bytes < 1_000_000


@THEMES
def test_code_is_folded_tabbed_and_copied(open_notebook, theme):
    notebook = open_notebook(CODE, theme=theme)
    notebook.run_all()
    page = notebook.page
    code = page.locator(".test-fold pre")
    expect(code).to_be_hidden()
    page.locator(".test-fold summary").focus()
    page.keyboard.press("Enter")
    expect(code).to_contain_text("你好, world")
    notebook.screenshot(f"code-{theme}")
    page.locator(".test-fold .cl-copy").click()
    expect(page.locator(".test-fold .cl-copy")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith('print("你好, world")\nfor n')
    page.get_by_role("tab", name="openai").focus()
    page.keyboard.press("ArrowRight")
    expect(code).to_have_text("curl -N http://127.0.0.1\n")
    expect(page.get_by_role("tab", name="curl")).to_be_focused()
    assert notebook.calls_outside() == []


FIGURE = """
from courselib.panels.figure import Picture
import plotly.graph_objects as go

picture = Picture(
    [go.Scatter(x=[1, 2, 4, 8, 16], y=[n * v for v in (75, 144, 160, 180, 184)], name=f"{n}") for n in (1, 2, 3)],
    title="Throughput", xaxis={"title": "requests at once"}, yaxis={"title": "tokens a second"},
)
picture
"""


@THEMES
def test_three_pictures_share_one_bundle(open_notebook, theme):
    notebook = open_notebook(FIGURE, FIGURE, FIGURE, theme=theme, height=1400)
    notebook.run_all()
    page = notebook.page
    expect(page.locator(".js-plotly-plot .main-svg .scatterlayer path.js-line")).to_have_count(9)
    assert notebook.received_bytes < 8_000_000
    assert notebook.calls_outside() == []
    expect(page.locator(".modebar-btn[data-title*='hare']")).to_have_count(0)
    notebook.screenshot(f"figures-{theme}")


def test_pictures_come_back_when_the_page_is_loaded_again(open_notebook):
    notebook = open_notebook(FIGURE, FIGURE)
    notebook.run_all()
    lines = notebook.page.locator(".js-plotly-plot .scatterlayer path.js-line")
    expect(lines).to_have_count(6)
    notebook.page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    notebook.page.reload()
    expect(lines).to_have_count(6)


def test_a_changed_line_lights_up(open_notebook):
    notebook = open_notebook(CODE, "fold.programs = {'openai': program.replace('range(3)', 'range(4)')}")
    notebook.run_all()
    notebook.page.locator(".test-fold summary").click()
    expect(notebook.page.locator(".test-fold .cl-changed")).to_have_text("for n in range(4):\n")


def test_a_fold_without_programs_has_nothing_to_copy(open_notebook):
    notebook = open_notebook(CODE, "fold.programs = {}; fold.opened = True")
    notebook.run_all()
    expect(notebook.page.locator(".test-fold ul")).to_be_visible()
    expect(notebook.page.locator(".test-fold .cl-copy")).to_be_hidden()


def test_a_picture_is_as_wide_as_its_place(open_notebook):
    notebook = open_notebook(FIGURE, width=900)
    notebook.run_all()
    page = notebook.page
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    place = page.locator(".js-plotly-plot")
    for change in ("application:toggle-left-area", "application:toggle-left-area"):
        notebook.settle(".js-plotly-plot .main-svg")
        drawn = page.locator(".js-plotly-plot .main-svg").first
        assert abs(drawn.bounding_box()["width"] - place.bounding_box()["width"]) < 2
        page.evaluate("command => window.jupyterapp.commands.execute(command)", change)


@THEMES
def test_a_text_keeps_its_height_and_its_end_in_view_while_it_grows(open_notebook, theme):
    notebook = open_notebook(TOKENS, theme=theme)
    notebook.run_all()
    page = notebook.page
    box, text = page.locator(".test-tokens .cl-tokens"), page.locator(".test-tokens .cl-tokens-text")
    expect(text).to_be_visible()
    before = box.bounding_box()["height"]
    notebook.ask(LONG)
    expect(text.locator(".cl-token")).to_have_count(400)
    assert box.bounding_box()["height"] == before
    expect(text.locator(".cl-token").last).to_be_in_viewport()
    notebook.screenshot(f"tokens-long-{theme}", box)

    text.evaluate("text => { text.scrollTop = 0; }")
    notebook.ask(LONG)
    expect(text.locator(".cl-token")).to_have_count(800)
    assert text.evaluate("text => text.scrollTop") == 0, "a reader who has scrolled up is left there"
