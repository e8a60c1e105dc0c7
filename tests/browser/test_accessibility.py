"""Nothing in any panel keeps people out: axe-core finds nothing serious in either theme."""

import pytest
from playwright.sync_api import expect

from tests.browser.axe import grave_faults, script
from tests.panels.test_recording import LAUNCHING, PANELS, SEVERAL

pytestmark = [pytest.mark.browser, pytest.mark.slow]

# Of each panel one.
PANELS = {**PANELS, **SEVERAL, **{panel: names[0] for panel, names in LAUNCHING.items()}}
RECORDED = tuple(f"import courselib\ncourselib.{panel.__name__}(recording={name!r})" for panel, name in PANELS.items())
WAITING = (
    "import courselib\ndesk = courselib.Deploy()\ndesk",
    "courselib.Playground(desk, prompt='Hi')",
    "courselib.Compare(desk, (desk, courselib.Controls(temperature=0)), prompt='Hi')",
    "courselib.Penalties(desk, prompt='Hi')",
    "courselib.Stops(desk, prompt='Hi')",
    "courselib.Chooser()",
    "courselib.Capacity()",
)


def faults(open_notebook, cells, theme, **view):
    script()  # before a page is opened for nothing
    notebook = open_notebook(*cells, theme=theme, **view)
    notebook.run_all()
    page = notebook.page
    expect(page.locator(".cl-panel")).to_have_count(len(cells))
    page.evaluate("() => document.querySelectorAll('.cl-panel details').forEach(fold => (fold.open = true))")
    notebook.settle(".cl-panel")
    return notebook, grave_faults(page, ".cl-panel")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_panels_with_a_result(open_notebook, theme):
    notebook, found = faults(open_notebook, RECORDED, theme, width=1300, height=5000)
    for at, panel in enumerate(PANELS):
        notebook.screenshot(f"recorded-{panel.__name__}-{theme}", notebook.page.locator(".cl-panel").nth(at))
    assert found == [], "\n\n".join(found)
    assert not notebook.calls_outside()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_panels_that_wait(open_notebook, theme):
    _notebook, found = faults(open_notebook, WAITING, theme, width=1300, height=5000)
    assert found == [], "\n\n".join(found)


def test_what_keeps_people_out_is_found(open_notebook):
    cell = "import ipywidgets\nbox = ipywidgets.HTML('<button></button>')\nbox.add_class('cl-panel')\nbox"
    _notebook, found = faults(open_notebook, [cell], "light")
    assert any(fault.startswith("button-name") for fault in found)
