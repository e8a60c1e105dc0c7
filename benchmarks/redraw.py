"""How fast the panel "Next token" follows a slider, at the full vocabulary of the model.

    python -m benchmarks.redraw

1. Computation: one redraw in Python, from 49,152 logits to what is sent, with a duel. Limit: 50 ms.
2. Slider to frame: in a real JupyterLab, from the slider's event to the frame that shows the new bars, with all that is
   between: the page's message, the kernel, its answer, the drawing. Limit: 120 ms.

Medians over moves of different sliders, printed with their ratio to the limit. Exits with 1 above a limit.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from playwright.sync_api import sync_playwright

import courselib
from tests.browser.conftest import NAMES, JupyterLab, Notebook

MOVES = 40
COMPUTATION_MS, FRAME_MS = 50, 120
PROMPT = "The weather today is"
# Every move another control, and a value that it did not have before.
MOVED = [
    [("temperature", 0.5 + at / MOVES), ("top_p", 0.5 + at / 100), ("top_k", 10 + at), ("min_p", 0.01 + at / 400)][
        at % 4
    ]
    for at in range(MOVES)
]
CELLS = (
    'import courselib\nserver = courselib.launch("llama.cpp", context=1024)',
    f"panel = courselib.NextToken(server, prompt={PROMPT!r})\npanel.duel = 'vllm'\npanel.look()\npanel",
)
# From the event to the moment after the frame in which the view has been drawn anew.
MOVE = """([control, value]) => new Promise((done) => {
    const slider = document.querySelector(`[data-control=${control}] input[type=range]`);
    const view = document.querySelector(".cl-next").parentElement;
    const seen = new MutationObserver(() => {
        seen.disconnect();
        requestAnimationFrame(() => {
            const channel = new MessageChannel();
            channel.port1.onmessage = () => done(performance.now() - begin);
            channel.port2.postMessage(0);
        });
    });
    seen.observe(view, { attributes: true, attributeFilter: ["data-drawn"] });
    const begin = performance.now();
    slider.value = value;
    slider.dispatchEvent(new Event("input"));
})"""


def computation_ms() -> list[float]:
    """One redraw each, without a page."""
    times = []
    with courselib.launch("llama.cpp", context=1024) as server:
        panel = courselib.NextToken(server, prompt=PROMPT)
        panel.duel = "vllm"
        panel.look()
        for control, value in MOVED:
            begin = time.perf_counter()
            panel.form.controls = panel.form.controls.with_(**{control: value})
            panel._drawing.flush()
            times.append(1000 * (time.perf_counter() - begin))
    return times


def frame_ms(chromium: str) -> list[float]:
    """One move of a slider each, in JupyterLab."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        jupyter = JupyterLab(Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium)
        try:
            jupyter.wait_until_ready()
            page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
            page.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
            nbformat.write(page, jupyter.root / "redraw.ipynb")
            context = browser.new_context(viewport={"width": 1300, "height": 1900})
            notebook = Notebook(context, f"{jupyter.url}/lab/tree/redraw.ipynb?reset", "light", Path(folder))
            notebook.run_all()
            notebook.page.wait_for_selector(".cl-candidates .cl-candidate")
            times = []
            for move in MOVED:
                times.append(notebook.page.evaluate(MOVE, list(move)))
                time.sleep(0.2)  # as slow as a person who looks
            return times
        finally:
            browser.close()
            jupyter.stop()


def main() -> int:
    """Measure both and print them as JSON."""
    chromium = os.environ.get("COURSELIB_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not chromium:
        print("There is no Chromium: install one, or name it in COURSELIB_CHROMIUM.")
        return 2
    results = {}
    for name, times, limit in (
        ("computation_ms", computation_ms(), COMPUTATION_MS),
        ("slider_to_frame_ms", frame_ms(chromium), FRAME_MS),
    ):
        median = statistics.median(times)
        results[name] = {
            "median": round(median, 1),
            "highest": round(max(times), 1),
            "limit": limit,
            "ratio": round(median / limit, 3),
        }
    print(json.dumps(results, indent=2))
    return int(any(result["ratio"] > 1 for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
