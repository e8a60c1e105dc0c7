"""What is fitted agrees with the measurements kept beside it, as well as its text says."""

import csv
from importlib.resources import files

import numpy as np
import pytest

from courselib.memory import MIB, Layer, Model, llamacpp, llamacpp_fitted

# The largest misses: without FlashAttention, on contexts of a few hundred tokens.
WORST, WORST_SHARE = 2.1 * MIB, 0.11


def number(text):
    return int(text) if text.isdigit() else text


with (files("courselib.memory") / "fitted" / "llamacpp.csv").open(encoding="utf-8") as file:
    ROWS = [{name: number(text) for name, text in row.items()} for row in csv.DictReader(file)]


def shape(row):
    keys = row["keys"]
    layers = (Layer(keys, keys),) * row["layers"] + (Layer(keys, keys, row["window"]),) * row["windowed"]
    same = ("embedding", "feed_forward", "queries", "heads", "vocabulary", "merges")
    return Model(row["model"], "", layers, **{name: row[name] for name in same})


def settings(row):
    same = ("context", "parallel", "ubatch", "flash_attn")
    return llamacpp.Settings(**{name: row[name] for name in same}, kv_unified=bool(row["kv_unified"]))


def resident_program(row):
    return row["resident"] - row["weights"] - row["kv_cache"] - row["output"]


def test_the_compute_buffer():
    errors = [(llamacpp_fitted.compute_bytes(shape(row), settings(row)) - row["compute"], row) for row in ROWS]
    assert len(errors) > 90
    for error, row in errors:
        assert abs(error) <= min(WORST, WORST_SHARE * row["compute"]), row
    near = [abs(error) < 0.15 * MIB for error, _row in errors]
    assert np.mean(near) > 0.8
    # Two kinds of real models, with FlashAttention: nearly exact.
    assert all(abs(e) < 0.005 * row["compute"] for e, row in errors if row["layers"] > 2 and row["flash_attn"] != "off")


def test_the_cache_and_the_output_of_every_measurement():
    for row in ROWS:
        assert llamacpp.cache_bytes(shape(row), settings(row)) == pytest.approx(row["kv_cache"], abs=0.01 * MIB)
        expected = row["parallel"] * row["vocabulary"] * 4
        assert expected == pytest.approx(row["output"], abs=0.01 * MIB)


def test_the_program_itself():
    columns = np.array([[1, row["vocabulary"], row["merges"]] for row in ROWS], dtype=float)
    measured = np.array([resident_program(row) for row in ROWS], dtype=float)
    fitted, *_rest = np.linalg.lstsq(columns, measured, rcond=None)
    ours = (llamacpp_fitted.PROGRAM, llamacpp_fitted.BYTES_PER_TOKEN, llamacpp_fitted.BYTES_PER_MERGE)
    assert ours == pytest.approx(fitted, rel=0.01)
    assert max(abs(llamacpp_fitted.runtime_bytes(shape(row)) - resident_program(row)) for row in ROWS) < 4 * MIB


def test_a_recurrent_model_has_no_figure():
    model = Model("", "", (Layer(64, 64), Layer(state=100)), embedding=64)
    found = llamacpp.estimate(model)
    assert (found.compute, found.total) == (None, None)
    assert found.resident_at_start is None  # nor are its weights known
