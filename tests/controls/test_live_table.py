"""Every control on every route, on live engines: what the report says is what happens."""

import pytest

from courselib.controls.catalogue import CONTROLS
from courselib.controls.route import LOST
from courselib.controls.routes import ROUTES
from tests.controls import experiments

CELLS = [(route, control) for route in ROUTES for control in CONTROLS]


def test_no_cell_is_without_an_experiment():
    assert len(CELLS) == len(ROUTES) * len(CONTROLS)
    for route, control in CELLS:
        if ROUTES[route].table[control].verdict in LOST:
            assert control in experiments.EXTREME, f"{control} is never sent to {route}"
        else:
            assert control in experiments.EXPERIMENTS, f"{control} is never tried on {route}"


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("route", "control"), CELLS)
def test_cell(lives, route, control):
    experiments.experiment(lives(ROUTES[route]), control)
