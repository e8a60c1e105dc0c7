"""A desk changes its model while every panel holds results: none shows the old ones as the new model's."""

import re

import pytest
from playwright.sync_api import expect

from courselib.models import resolve
from tests.browser.test_desks import NAMELESS
from tests.models.patched_gguf import patched_gguf

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]

# Each panel that stands on the base of experiments, with arguments that make it quick.
PANELS = {
    "NextToken": "prompt='The capital of France is'",
    "Playground": "prompt='The capital of France is', controls=courselib.Controls(max_tokens=4)",
    "Walk": "prompt='The capital of France is'",
    "DoesItReally": "prompt='The capital of France is', number=20",
    "PenaltySweep": "prompt='The capital of France is', seeds=1, max_tokens=2",
    "Stops": "prompt='The capital of France is', max_tokens=4",
    "Penalties": "prompt='The capital of France is', max_tokens=4",
}
# It has columns, each an experiment with a state and a mark of its own.
COMPARED = "*((desk, courselib.Controls(max_tokens=4, top_k=k)) for k in (40, 1)), prompt='The capital of France is'"
RUNNING = re.compile("running, first token after")
# The same weights, and positions turned at another rate: its answers are others.
CHANGED = {"llama.rope.freq_base": 1_000.0}


@pytest.fixture(scope="module")
def other_model(tmp_path_factory):
    return patched_gguf(resolve("smollm2-135m"), tmp_path_factory.mktemp("models") / "other.gguf", CHANGED)


def cell():
    lines = ["import courselib", "from IPython.display import display", "desk = courselib.Deploy(context=512)"]
    lines += ["desk.add_class('test-desk')", "display(desk)"]
    for name, arguments in PANELS.items():
        lines += [f"panel = courselib.{name}(desk, {arguments})", f"panel.add_class('test-{name}')", "display(panel)"]
    lines += [f"compare = courselib.Compare({COMPARED})", "compare.add_class('test-Compare')", "display(compare)"]
    return "\n".join(lines)


def start(desk):
    desk.locator(".cl-start").click()
    expect(desk.locator(".cl-state")).to_have_text(RUNNING)


def test_no_panel_shows_a_result_as_another_models(open_notebook, other_model):
    notebook = open_notebook(cell(), height=1400)
    notebook.run_all()
    page = notebook.page
    desk = page.locator(".test-desk")
    panels = {name: page.locator(f".test-{name}") for name in PANELS}
    compare = page.locator(".test-Compare")
    columns = compare.locator(".cl-column")
    expect(columns).to_have_count(2)
    start(desk)
    compare.locator(".cl-run").click()
    for panel in panels.values():
        panel.locator(".cl-run").click()
    for column in columns.all():
        expect(column.locator(".cl-state")).to_have_text("done")
    for panel in panels.values():
        expect(panel.locator(".cl-state")).to_have_text("done")
        expect(panel.locator(".cl-head")).to_contain_text("smollm2-135m")

    desk.locator(".cl-stop").click()
    expect(desk.locator(".cl-state")).to_have_text("stopped")
    for panel in panels.values():
        expect(panel.locator(".cl-state")).to_have_text("waiting for a server")
    desk.locator(".cl-model input").fill(str(other_model))
    desk.locator(".cl-model input").press("Tab")
    start(desk)

    for name, panel in panels.items():
        expect(panel.locator(".cl-head")).to_contain_text("other.gguf")
        expect(panel.locator(".cl-state")).to_have_text("not run yet")
        expect(panel.locator(".cl-stale")).to_contain_text("This is from another server (smollm2-135m).")
        expect(panel).to_have_class(re.compile("cl-out-of-date"))
        notebook.screenshot(f"changed-{name}", panel)
    for column in columns.all():
        expect(column.locator(".cl-head")).to_contain_text("other.gguf")
        expect(column.locator(".cl-state")).to_have_text("not run yet")
        expect(column.locator(".cl-stale")).to_contain_text("This is from another server (smollm2-135m).")
    notebook.screenshot("changed-Compare", compare)
    compare.locator(".cl-run").click()
    for column in columns.all():
        expect(column.locator(".cl-state")).to_have_text("done")
        expect(column.locator(".cl-stale")).to_have_text("")
    for panel in panels.values():
        panel.locator(".cl-run").click()
    for panel in panels.values():
        expect(panel.locator(".cl-state")).to_have_text("done")
        expect(panel.locator(".cl-stale")).to_have_text("")
        expect(panel).not_to_have_class(re.compile("cl-out-of-date"))
        assert panel.locator(".cl-error").count() == 0
    assert page.evaluate(NAMELESS) == []
