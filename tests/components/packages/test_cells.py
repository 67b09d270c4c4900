import numpy as np
import pandas as pd
import pytest

from components.packages.cells import read_frame, write_frame


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(None, id="None"),
        pytest.param(7, id="an int"),
        pytest.param(7.0, id="a float that is whole"),
        pytest.param(True, id="a truth value"),
        pytest.param("7", id="a number as text"),
        pytest.param("", id="empty text"),
        pytest.param("✓ \n \x00", id="odd text"),
        pytest.param(0.1 + 0.2, id="a float with all its digits"),
        pytest.param(float("inf"), id="infinity"),
        pytest.param(-float("inf"), id="minus infinity"),
    ],
)
def test_a_cell_comes_back_as_it_went_with_its_type(cell):
    back = read_frame(write_frame(pd.DataFrame({"x": [cell]}, dtype=object)))["x"].iloc[0]
    assert (back, type(back)) == (cell, type(cell))


def test_nan_comes_back_as_nan_and_not_as_none():
    back = read_frame(write_frame(pd.DataFrame({"x": [np.nan, None]}, dtype=object)))["x"]
    assert isinstance(back.iloc[0], float)
    assert back.iloc[1] is None


def test_numpy_numbers_become_plain_ones():
    assert write_frame(pd.DataFrame({"x": np.array([1], dtype=np.int16)}))["rows"] == [[1]]


def test_a_frame_without_rows_keeps_its_columns():
    assert list(read_frame(write_frame(pd.DataFrame({"a": [], "b": []}))).columns) == ["a", "b"]
