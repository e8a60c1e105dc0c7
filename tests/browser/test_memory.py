"""The Memory panel as a learner meets it: the answer before the start, the bars, and a start that is measured."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]

# What sticks out of the panel to the right, if anything.
STICKING_OUT = """panel => [...panel.querySelectorAll("td, th, svg, input, select, button, .cl-would")]
    .filter(each => each.getBoundingClientRect().width && !each.closest(".cl-scrolls")
        && each.getBoundingClientRect().right > panel.getBoundingClientRect().right)
    .map(each => each.outerHTML.slice(0, 80))"""
CHINESE = (
    "import pathlib, shutil, courselib\nfrom courselib import models\n"
    "folder = pathlib.Path('模型'); folder.mkdir(exist_ok=True)\n"
    "file = shutil.copy(models.resolve('smollm2-135m'), folder / '小型語言模型.gguf')"
)


@pytest.mark.parametrize(
    ("theme", "language", "width"), [("light", "en", 1200), ("dark", "zh", 1200), ("dark", "en", 700)]
)
def test_predicted_then_measured(open_notebook, theme, language, width):
    first, model = ("import courselib", "'smollm2-135m'") if language == "en" else (CHINESE, "str(file)")
    notebook = open_notebook(
        first,
        f"panel = courselib.Memory(model={model}, context=1024, recording='30_memory.json')\npanel",
        theme=theme,
        width=width,
        height=1700,
    )
    page = notebook.page
    notebook.run_all()
    panel = page.locator(".cl-memory")
    expect(page.locator(".cl-would-yes")).to_contain_text("Would this start?")
    expect(page.locator("svg.cl-bytes")).to_be_visible()
    expect(page.locator(".cl-calibration svg")).to_be_visible()
    assert page.locator(".cl-found table").count() == 0

    # By the keyboard alone: the context, and the key that measures.
    context = page.locator(".cl-context input")
    context.fill("2048")
    context.press("Tab")
    expect(page.locator(".cl-parts")).to_contain_text("45.00 MiB")
    context.press("Control+Enter")
    expect(page.locator(".cl-state")).to_have_text("done")
    expect(page.locator(".cl-found")).to_contain_text("measured here")
    expect(page.locator(".cl-found")).to_contain_text("%")
    assert page.locator("svg.cl-bytes rect").count() > 8
    assert page.locator(".cl-calibration circle").count() >= 9
    assert panel.evaluate(STICKING_OUT) == []
    notebook.screenshot(f"memory-{language}-{theme}-{width}", panel)
    if language == "zh":
        expect(page.locator(".cl-engine-name")).to_contain_text("小型語言模型.gguf")

    page.locator(".cl-engine select").select_option("vLLM")
    expect(page.locator(".cl-max-model-len")).to_be_visible()
    expect(page.locator(".cl-context")).to_be_hidden()
    page.locator(".cl-engine select").select_option("llama.cpp")
    model = page.locator(".cl-model input")
    model.fill("meta-llama/Llama-3.1-70B-Instruct")
    model.press("Tab")
    page.locator(".cl-budget select").select_option("a card of 16 GiB")
    expect(page.locator(".cl-would-no")).to_contain_text("Set gpu_layers to")
    page.locator(".cl-run").click()
    expect(page.locator(".cl-error")).to_contain_text("choose a model that is on this machine")
    assert panel.evaluate(STICKING_OUT) == []
    notebook.screenshot(f"memory-refused-{language}-{theme}-{width}", panel)
    assert not notebook.calls_outside()
