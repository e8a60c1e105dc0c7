"""Three exercises as a learner does them: a wrong answer and its mistake, the right one, and the points for it."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import KERNEL_READY, PREVIEW
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]

EXERCISES = Path(__file__).parents[2] / "exercises" / "en"
# What is typed in place of the line that raises; JupyterLab indents each line as the one before.
SOFTMAX = """e = [math.exp((x - max(logits)){scaled}) for x in logits]
return [each / sum(e){divided} for each in e]"""
DIAGNOSE = """if "HTTP {status}" in message: return "key"
words = dict(context="context", emplate="template", onnect="port", cache="memory", file="file")
return next(words[part] for part in words if part in message)"""
SOLVED = {
    "210_softmax": (
        SOFTMAX.format(scaled="", divided=" / temperature"),
        "The temperature acts on the probabilities here",
        SOFTMAX.format(scaled=" / temperature", divided=""),
    ),
    "150_diagnose": (DIAGNOSE.format(status=4), "Not every 4xx is about the key", DIAGNOSE.format(status=401)),
    "252_never_short": (
        'return {"min_tokens": 10}',
        "llama.cpp does not know min_tokens",
        'return {"ignore_eos": True, "n_predict": 12}',
    ),
}


def read(path):
    """A notebook's code cells, and what its check gives."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"], notebook["metadata"]["courselib"]


def type_answer(page, cell, lines, replaced=1):
    """Type over the last lines of a cell, and run it."""
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    for _line in range(replaced - 1):
        page.keyboard.press("Shift+ArrowUp")
    page.keyboard.press("Shift+Home")
    page.keyboard.type(lines)
    page.keyboard.press("Shift+Enter")


def solve(page, name, path, screenshots):
    """One exercise, from a click on the start page to a right answer that is saved."""
    wrong, mistake, right = SOLVED[name]
    code, _about = read(path)
    at = next(n for n, cell in enumerate(code) if cell["metadata"].get("nbgrader", {}).get("solution"))
    page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text="start.md").click()
    page.locator(PREVIEW).get_by_role("link", name=name[:3], exact=True).click()
    cells = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell")
    expect(cells).to_have_count(len(code))
    page.evaluate(KERNEL_READY)

    type_answer(page, cells.nth(at), wrong)
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    check = cells.nth(len(code) - 1)  # run as the last cell, it gets an empty one below it
    expect(check.locator(".jp-OutputArea-output")).to_contain_text(mistake)
    page.screenshot(path=screenshots / f"exercise-{name}-wrong.png")

    type_answer(page, cells.nth(at), right, len(wrong.splitlines()))
    check.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    expect(check.locator(".jp-OutputArea-output")).to_contain_text(": right, in")
    page.screenshot(path=screenshots / f"exercise-{name}-right.png")
    page.keyboard.press("Control+s")
    wait_until(lambda: ": right, in" in path.read_text(encoding="utf-8"), 120)


def test_three_exercises_solved_after_a_wrong_answer(opened, screenshots):
    folder, start, visit = opened
    paths = {name: folder / "exercises" / f"{name}.ipynb" for name in SOLVED}
    with start() as process:
        page = visit(process)
        expect(page.locator(PREVIEW)).to_contain_text(re.compile(r"0 of \d+ exercises done, 0 of \d+ points"))
        for name, path in paths.items():
            solve(page, name, path, screenshots)
        page.close()
    points = sum(read(path)[1]["points"] for path in paths.values())
    with start() as process:
        page = visit(process)
        expect(page.locator(PREVIEW)).to_contain_text(re.compile(rf"3 of \d+ exercises done, {points} of \d+ points"))
        for name in SOLVED:
            expect(page.locator(f"{PREVIEW} td", has_text=f"{name[:3]} ✓")).to_have_count(1)
        page.screenshot(path=screenshots / "exercises-start-page.png")
