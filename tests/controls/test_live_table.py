"""Every control on every route, on live engines: what the report says is what happens."""

import pytest

from courselib.controls.catalogue import CONTROLS
from courselib.controls.route import LOST
from courselib.controls.routes import ROUTES
from tests.controls.asking import LIMIT, SHORT
from tests.controls.experiments import EXPERIMENTS, experiment
from tests.controls.lost import EXTREME

# The token that ends an answer.
END = 2
CELLS = [(route, control) for route in ROUTES for control in CONTROLS]


def test_no_cell_is_without_an_experiment():
    assert len(CELLS) == len(ROUTES) * len(CONTROLS)
    for route, control in CELLS:
        if ROUTES[route].table[control].verdict in LOST:
            assert control in EXTREME, f"{control} is never sent to {route}"
        else:
            assert control in EXPERIMENTS, f"{control} is never tried on {route}"


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("route", "control"), CELLS)
def test_cell(lives, route, control):
    experiment(lives(ROUTES[route]), control)


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.parametrize("route", ["llama.cpp chat", "llama.cpp /completion", "llama_cpp.Llama"])
def test_a_bias_against_the_end_token_comes_nearest_to_a_least_length(lives, route):
    assert "logit_bias" in ROUTES[route].table["ignore_eos" if route == "llama_cpp.Llama" else "min_tokens"].words
    live = lives(ROUTES[route])
    assert live.ask(SHORT, temperature=0, max_tokens=LIMIT).length < LIMIT
    assert live.ask(SHORT, temperature=0, max_tokens=LIMIT, logit_bias={END: -100.0}).length == LIMIT
