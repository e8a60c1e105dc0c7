"""Lesson 00 as a learner meets it: run it, start an engine at the desk, ask it, copy the code, run that elsewhere."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Notebook, show

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]

LESSON = Path(__file__).parents[2] / "notebooks/en/00_start_here.ipynb"
MOST_BYTES = 8_000_000


@pytest.fixture(params=["light", "dark"])
def lesson(request, browser, jupyter, screenshots):
    shutil.copy(LESSON, jupyter.root / LESSON.name)
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=jupyter.url)
    notebook = Notebook(context, f"{jupyter.url}/lab/tree/{LESSON.name}?reset", request.param, screenshots)
    notebook.theme = request.param
    yield notebook
    context.close()
    jupyter.end_kernels()


def test_from_top_to_bottom(lesson):
    page = lesson.page
    lesson.run_all()
    assert lesson.received_bytes < MOST_BYTES
    assert not lesson.calls_outside()

    picture = show(page, ".jp-RenderedSVG img")
    assert picture.evaluate("image => image.naturalWidth") > 0
    lesson.screenshot(f"lesson00-picture-{lesson.theme}")

    # The command follows the settings.
    show(page, ".cl-context select")
    code = page.locator(".cl-command pre")
    expect(code).to_contain_text("--ctx-size 2048")
    page.locator(".cl-context select").select_option("1024")
    expect(code).to_contain_text("--ctx-size 1024")

    page.locator("button.cl-start").click()
    status = page.locator(".cl-panel .cl-state").first
    expect(status).to_contain_text("running")
    expect(page.locator(".cl-facts").first).to_contain_text("22.50 MiB")
    expect(page.locator(".cl-log-box pre")).to_contain_text("slot")
    lesson.screenshot(f"lesson00-deploy-{lesson.theme}")

    show(page, "button.cl-run").click()
    playground = page.locator(".cl-panel").nth(1)
    expect(playground.locator(".cl-token").nth(5)).to_be_visible()
    expect(playground.locator(".cl-state")).to_have_text("done")
    expect(playground.locator(".cl-facts")).to_contain_text(re.compile("stop|length"))
    playground.locator(".cl-token").nth(3).hover()
    expect(playground.locator(".cl-tokens-card")).to_be_visible()
    lesson.screenshot(f"lesson00-answer-{lesson.theme}")
    page.mouse.move(5, 5)

    fold = playground.locator(".cl-code")
    fold.locator("summary").click()
    fold.get_by_role("tab", name="openai").click()
    expect(fold.locator("pre")).to_contain_text("from openai import OpenAI")
    fold.scroll_into_view_if_needed()
    fold.locator("button.cl-copy").click()
    expect(fold.locator("button.cl-copy")).to_have_text("Copied")
    lesson.screenshot(f"lesson00-code-{lesson.theme}")
    program = page.evaluate("() => navigator.clipboard.readText()")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    # A seed and the same call: the panel's answer and the program's are the same text.
    assert done.stdout.strip() == "".join(playground.locator(".cl-token").all_inner_texts()).strip()

    show(page, "button.cl-stop").click()
    expect(page.locator(".cl-panel .cl-state").first).to_have_text("stopped")
