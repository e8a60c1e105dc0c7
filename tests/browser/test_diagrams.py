"""The lessons' diagrams in JupyterLab: a sanitizer stands between a notebook and its page."""

import shutil
from pathlib import Path

import pytest

from tests.browser.conftest import Notebook, show

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LESSON = Path(__file__).parents[2] / "notebooks/en/12_tgi.ipynb"
PICTURE = ".jp-RenderedMarkdown img[src^='data:image/svg+xml']"


@pytest.mark.parametrize(("theme", "width"), [("light", 1200), ("dark", 700)])
def test_it_is_a_picture_with_a_text_twin(browser, jupyter, screenshots, theme, width):
    shutil.copy(LESSON, jupyter.root / LESSON.name)
    context = browser.new_context(viewport={"width": width, "height": 1000})
    try:
        notebook = Notebook(context, f"{jupyter.url}/lab/tree/{LESSON.name}?reset", theme, screenshots)
        picture = show(notebook.page, PICTURE)
        notebook.page.wait_for_function("css => document.querySelector(css).naturalWidth > 300", arg=PICTURE)
        assert picture.get_attribute("alt").startswith("Clients talk HTTP to the router")
        box, cell = picture.bounding_box(), show(notebook.page, ".jp-MarkdownCell").bounding_box()
        assert box["x"] + box["width"] <= cell["x"] + cell["width"], "it is shrunk to the page, not cut off"
        show(notebook.page, PICTURE)
        notebook.screenshot(f"diagram-{theme}-{width}")
        assert not notebook.calls_outside()
    finally:
        context.close()
        jupyter.end_kernels()
