"""One contract stands before every graph."""

import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from components.errors import InvalidInputError
from components.models import MISSING, InputContract, estimator
from components.pipelines import read_pipeline

NUMBER = InputContract((("x", "number"),))
TEXT = InputContract((("x", "category"),))


def _number(value):
    return NUMBER.prepare(pd.DataFrame({"x": pd.Series([value, 1.5], dtype=object)}))["x"][0, 0]


def _text(value):
    return TEXT.prepare(pd.DataFrame({"x": pd.Series([value, "word"], dtype=object)}))["x"][0, 0]


@pytest.mark.parametrize(
    "value",
    [None, np.nan, pd.NA, "", "  ", float("inf"), float("-inf"), np.float64("nan")],
    ids=repr,
)
def test_a_number_that_is_missing_or_infinite_is_nan(value):
    assert np.isnan(_number(value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, 3.0), (True, 1.0), ("2.5", 2.5), (Decimal("0.5"), 0.5), (np.int64(7), 7.0)],
    ids=repr,
)
def test_anything_that_says_a_number_is_one(value, expected):
    assert _number(value) == np.float32(expected)


@pytest.mark.parametrize(
    ("value", "sign"), [(1e300, 1), (-1e300, -1), (10**400, 1), (-(10**400), -1)]
)
def test_a_number_too_large_for_float32_becomes_its_largest(value, sign):
    assert _number(value) == sign * np.finfo(np.float32).max


@pytest.mark.parametrize("value", ["warm", [1], {"a": 1}], ids=repr)
def test_a_number_column_holding_no_number_is_refused_by_name(value):
    with pytest.raises(InvalidInputError, match="column 'x' must hold numbers"):
        _number(value)


def test_times_are_no_numbers():
    frame = pd.DataFrame({"x": pd.to_datetime(["2026-01-01"])})
    with pytest.raises(InvalidInputError, match="Got times"):
        NUMBER.prepare(frame)


@pytest.mark.parametrize("value", [None, np.nan, pd.NA, pd.NaT, "", "   ", MISSING], ids=repr)
def test_text_that_is_missing_or_blank_gets_the_sentinel(value):
    assert _text(value) == MISSING


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, "3"), (3.0, "3"), (2.5, "2.5"), (True, "True"), ("été", "été"), (float("inf"), "inf")],
    ids=repr,
)
def test_anything_has_a_text(value, expected):
    assert _text(value) == expected


def test_text_that_is_no_unicode_becomes_some_that_is():
    assert _text("a\ud800b").encode() == b"a?b"


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([3, 4, None], dtype="Int64"),
        pd.Series([3.0, 4.0, np.nan]),
        pd.Series(["3", "4", None], dtype="str"),
        pd.Series(["3", "4", None], dtype=object),
        pd.Series(["3", "4", None]).astype("category"),
        pd.Series([3, 4, None], dtype=object),
    ],
    ids=lambda column: str(column.dtype),
)
def test_the_same_category_is_the_same_text_however_pandas_stores_it(column):
    assert TEXT.prepare(pd.DataFrame({"x": column}))["x"][:, 0].tolist() == ["3", "4", MISSING]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([3, 1, None], dtype="Int64"),
        pd.Series([3.0, 1.0, np.nan]),
        pd.Series(["3", "1", None], dtype="str"),
        pd.Series([3, True, None], dtype=object),
        pd.Series([3, 1, None], dtype="Float32"),
    ],
    ids=lambda column: str(column.dtype),
)
def test_the_same_number_is_the_same_float_however_pandas_stores_it(column):
    got = NUMBER.prepare(pd.DataFrame({"x": column}))["x"]
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got[:, 0], [3, 1, np.nan])


def test_a_missing_column_is_named_with_its_nearest_neighbour():
    contract = InputContract((("humidity", "number"),))
    with pytest.raises(InvalidInputError, match=r"'humidity'.*did you mean humidty"):
        contract.prepare(pd.DataFrame({"humidty": [1.0]}))


def test_further_columns_are_left_alone_and_no_rows_make_empty_arrays():
    got = NUMBER.prepare(pd.DataFrame({"x": [], "y": []}))
    assert list(got) == ["x"]
    assert got["x"].shape == (0, 1)


def test_a_contract_is_the_pipeline_s_columns(clone):
    pipeline = read_pipeline(clone / "pipelines" / "bikeshare.yaml")
    contract = InputContract.of(pipeline)
    assert contract.names == pipeline.features
    assert dict(contract.columns)["weather"] == "category"


def test_an_unknown_family_or_setting_is_named_with_its_nearest_neighbour():
    with pytest.raises(InvalidInputError, match="did you mean lightgbm"):
        estimator("lightgmb")
    with pytest.raises(InvalidInputError, match="did you mean rounds"):
        estimator("lightgbm", round=3)


def test_the_package_loads_no_learning_library(clone):
    script = (
        "import sys, components.models.fitting\n"
        "heavy = {'torch', 'lightgbm', 'sklearn', 'onnx', 'skl2onnx', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=clone, check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]"
