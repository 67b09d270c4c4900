import math

import pandas as pd

from components.models.contract import InputContract
from components.packages.golden import golden_rows


def test_golden_rows_hold_every_odd_value_of_each_kind(rows):
    contract = InputContract((("temp", "number"), ("weather", "category")))
    golden = golden_rows(rows, contract, seed=0)
    numbers, texts = golden["temp"].tolist(), golden["weather"].tolist()
    assert None in numbers
    assert any(isinstance(n, float) and math.isnan(n) for n in numbers)
    assert math.inf in numbers
    assert any(isinstance(n, bool) for n in numbers)
    assert any(isinstance(n, int) and not isinstance(n, bool) for n in numbers)
    assert {"", "never seen before ✓", 7} <= set(texts)
    assert "rain" in texts


def test_the_last_golden_row_is_missing_throughout(rows):
    golden = golden_rows(rows, InputContract((("temp", "number"), ("weather", "category"))), seed=0)
    assert golden.iloc[-1].tolist() == [None, None]


def test_golden_rows_are_drawn_by_the_seed_alone(rows):
    contract = InputContract((("temp", "number"),))
    first, again = (golden_rows(rows, contract, seed=4) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)


def test_golden_rows_are_made_even_from_no_rows_at_all(rows):
    contract = InputContract((("temp", "number"), ("weather", "category")))
    assert len(golden_rows(rows.iloc[:0], contract, seed=0)) > 10
