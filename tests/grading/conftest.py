"""What tests of grading share."""

import json
import os
import shutil
from pathlib import Path

import pytest

from courselib.errors import EngineMissing
from courselib.grading import sandbox
from courselib.grading.assignment import read_assignments
from tests.waiting import wait_until

COURSE = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def confinement():
    """Tests that run learners' code are skipped where it cannot be confined, but not in CI."""
    if os.environ.get("CI") == "true":
        # tests/install.sh installs it meanwhile.
        wait_until(lambda: shutil.which("bwrap"), 300)
        sandbox.require()
    try:
        sandbox.require()
    except EngineMissing as error:
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def assignments():
    """The course's exercises."""
    return read_assignments(COURSE / "exercises" / "en")


@pytest.fixture(scope="session")
def solution():
    """A function that gives the notebook of an exercise's solution, as JSON; each source is one text."""

    def read(name):
        notebook = json.loads((COURSE / "solutions" / "en" / f"{name}.ipynb").read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            cell["source"] = "".join(cell["source"])
        return notebook

    return read
