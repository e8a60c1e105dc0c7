"""The driver of the browser tests: a cell that fails must not pass."""

import pytest

pytestmark = pytest.mark.browser


def test_a_cell_that_fails_is_noticed(open_notebook):
    notebook = open_notebook("1 / 0", "2")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        notebook.run_all()
