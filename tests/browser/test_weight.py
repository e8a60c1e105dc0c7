"""What the panels of a lesson's page weigh: scripts, styles and state together, as the page receives them."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.engine, pytest.mark.slow]

MOST_BYTES = 1_000_000
# The panels of the lesson on sampling, as it makes and drives them.
CELLS = (
    'import courselib\nserver = courselib.launch("llama.cpp", context=1024)\nPROMPT = "The weather today is"\n'
    "controls = courselib.Controls(temperature=1.5, top_k=20, top_p=0.7, min_p=0.05)",
    "panel = courselib.NextToken(server, prompt=PROMPT, controls=controls, recording='21_next_token.json')\npanel",
    "panel.look()\npanel.duel = 'vllm'",
    "proof = courselib.DoesItReally(server, prompt=PROMPT, controls=controls)\nproof",
    "proof.sample(500)\nproof.order = 'vllm'",
    "walk = courselib.Walk(server, prompt=PROMPT, controls=controls, recording='22_walk.json')\nwalk",
    "walk.begin()\nwalk.take()\nwalk.take()\nwalk.go(0)",
)


def test_a_lessons_page_with_three_panels(open_notebook):
    notebook = open_notebook(*CELLS, width=1300, height=3000)
    notebook.run_all()
    expect(notebook.page.locator(".cl-panel")).to_have_count(3)
    expect(notebook.page.locator(".cl-walk-node").first).to_be_visible()
    assert notebook.received_bytes < MOST_BYTES
