"""Attention whole and in tiles, against the formula in double precision; what was counted, against formulas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from courselib.errors import SettingsError
from courselib.memory.attention import SlowMemory, tile_rows, tiled, tiled_bytes, whole, whole_bytes


def inputs(tokens, width, seed=0, size=1.0, dtype=np.float32):
    return (size * np.random.default_rng(seed).normal(size=(3, tokens, width))).astype(dtype)


def formula(q, k, v, causal):
    """One query at a time, in double precision, without shifting by the maximum of a tile."""
    rows = []
    for number, query in enumerate(q.astype(np.float64)):
        seen = number + 1 if causal else len(k)
        scores = np.array([float(query @ key) for key in k[:seen].astype(np.float64)]) / len(query) ** 0.5
        weights = np.exp(scores - np.logaddexp.reduce(scores))
        rows.append(sum(weight * value for weight, value in zip(weights, v.astype(np.float64), strict=False)))
    return np.array(rows)


sizes = st.integers(1, 24)


@given(tokens=sizes, width=st.integers(1, 12), rows=sizes, columns=sizes, causal=st.booleans(), seed=st.integers(0, 99))
def test_both_are_the_formula(tokens, width, rows, columns, causal, seed):
    q, k, v = inputs(tokens, width, seed)
    expected = formula(q, k, v, causal)
    np.testing.assert_allclose(whole(SlowMemory(q, k, v), causal=causal), expected, atol=1e-5)
    found = tiled(SlowMemory(q, k, v), rows=rows, columns=columns, causal=causal)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found.dtype == np.float32


@given(rows=sizes, columns=sizes, causal=st.booleans())
def test_scores_too_large_for_exp_are_no_trouble(rows, columns, causal):
    q, k, v = inputs(30, 4, size=60.0)  # scores of thousands, where exp alone is infinite
    found = tiled(SlowMemory(q, k, v), rows=rows, columns=columns, causal=causal)
    np.testing.assert_allclose(found, formula(q, k, v, causal), rtol=1e-3, atol=1e-2)


@given(tokens=sizes, width=st.integers(1, 12), rows=sizes, columns=sizes)
def test_bytes_are_as_the_formulas_say(tokens, width, rows, columns):
    q, k, v = inputs(tokens, width, dtype=np.float16)
    one, other = SlowMemory(q, k, v), SlowMemory(q, k, v)
    whole(one)
    tiled(other, rows=rows, columns=columns)
    assert one.moved == whole_bytes(tokens, width)
    assert other.moved == tiled_bytes(tokens, width, rows)
    assert one.operations == other.operations == 4 * tokens**2 * width


def test_the_scores_have_a_place_in_slow_memory_only_when_computed_whole():
    for tokens in (32, 64):
        one, other = SlowMemory(*inputs(tokens, 4)), SlowMemory(*inputs(tokens, 4))
        whole(one)
        tiled(other, rows=8, columns=8)
        assert other.size == 4 * (4 * tokens * 4)
        assert one.size == other.size + 4 * (2 * tokens**2)


def test_fast_memory_does_not_grow_with_the_text():
    used = set()
    for tokens in (64, 128, 256):
        memory = SlowMemory(*inputs(tokens, 4))
        tiled(memory, rows=16, columns=32)
        used.add(memory.fast)
    assert used == {4 * (16 * 4 + 2 * 32 * 4 + 16 * 32 + 16 * 4)}


def test_a_causal_mask_leaves_out_nearly_half_of_the_tiles():
    full, half = SlowMemory(*inputs(64, 4)), SlowMemory(*inputs(64, 4))
    tiled(full, rows=8, columns=8)
    tiled(half, rows=8, columns=8, causal=True)
    assert half.operations / full.operations == (8 * 9 / 2) / 64


@given(fast=st.integers(0, 10**6), width=st.integers(1, 256))
def test_the_largest_tile_fits_and_the_next_does_not(fast, width):
    def taken(rows):
        return 2 * (4 * rows * width + rows**2)

    rows = tile_rows(fast, width)
    assert taken(rows) <= fast < taken(rows + 1)


def test_what_does_not_fit_together_is_refused():
    q, k, v = inputs(4, 2)
    with pytest.raises(SettingsError, match="one shape"):
        SlowMemory(q, k[:3], v)
    for wrong in ({"rows": 0, "columns": 1}, {"rows": 1, "columns": 0}):
        with pytest.raises(SettingsError):
            tiled(SlowMemory(q, k, v), **wrong)
