"""Percentiles against numpy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from courselib.observe.percentiles import percentile


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.sampled_from([1, 25, 50, 90, 95, 99, 100]))
def test_a_percentile_is_numpys_by_nearest_rank(values, percent):
    assert percentile(values, percent) == np.percentile(values, percent, method="inverted_cdf")


@pytest.mark.parametrize(("count", "rank"), [(1, 1), (8, 8), (19, 19), (20, 19), (21, 20), (40, 38), (100, 95)])
def test_p95_leaves_at_most_a_twentieth_above(count, rank):
    assert percentile(range(1, count + 1), 95) == rank


@pytest.mark.parametrize(("values", "percent"), [((), 95), ((1.0,), 0), ((1.0,), 101)])
def test_no_percentile_of_nothing(values, percent):
    with pytest.raises(ValueError, match="no "):
        percentile(values, percent)
