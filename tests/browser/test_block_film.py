"""The film of blocks in JupyterLab: moved by keyboard and by the kernel, in both themes, wide and narrow."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CELL = """from courselib.memory.paged_cache import PagedCache
from courselib.memory.serving import Request
from courselib.panels.block_film import BlockFilm
few = [Request(6, 10), Request(6, 6, samples=3), Request(3, 13), Request(9, 7)]
film = BlockFilm(few, PagedCache(12, block_size=4))
film"""


@pytest.mark.parametrize(("theme", "width"), [("light", 1200), ("dark", 700)])
def test_the_slider_by_keyboard_and_the_step_from_a_cell(open_notebook, theme, width):
    notebook = open_notebook(CELL, theme=theme, width=width, height=900)
    notebook.run_all()
    panel = notebook.page.locator(".cl-panel")
    expect(panel).to_contain_text("8 of 12 blocks in use, 2 of them shared")
    panel.locator(".cl-step [role=slider]").focus()
    notebook.page.keyboard.press("ArrowRight")
    expect(panel.locator(".cl-state")).to_have_text("step 2 of 16")
    assert notebook.ask("print(film.step)").strip() == "2"
    notebook.ask("film.step = 5")
    expect(panel).to_contain_text("12 of 12 blocks in use, 1 of them shared")
    expect(panel.locator("svg[role=img] g")).to_have_count(12)
    notebook.screenshot(f"block-film-{theme}", panel)
