"""Raw values of any type become numbers, text or times, or are said to be unreadable."""

import pandas as pd
import pytest

from components.values import parse_times

SECOND = 1_325_376_000  # 2012-01-01


@pytest.mark.parametrize("size", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("kind", ["int64", "float64", "str", "object"])
def test_a_number_counts_from_1970_and_its_size_says_in_what(size: int, kind: str) -> None:
    raw = pd.Series([SECOND * size, (SECOND + 3600) * size]).astype(kind)
    if kind == "str":
        raw = raw.str.removesuffix(".0")
    parsed = parse_times(raw)
    assert list(parsed.values) == list(pd.to_datetime([SECOND, SECOND + 3600], unit="s", utc=True))
    assert not parsed.unreadable.any()


def test_fractions_of_a_second_are_kept() -> None:
    parsed = parse_times(pd.Series([SECOND + 0.25])).values[0]
    assert parsed.microsecond == 250_000
    assert parse_times(pd.Series([f"{SECOND}.25"])).values[0] == parsed


@pytest.mark.parametrize("other", [0, 7, -SECOND, 20_110_101, 10**11, 10**20, float("inf"), True])
def test_any_other_number_is_no_time(other: float) -> None:
    for raw in (pd.Series([other]), pd.Series([other], dtype=object)):
        parsed = parse_times(raw)
        assert parsed.values.isna().all()
        assert parsed.unreadable.all()


def test_a_day_in_eight_digits_is_a_day_and_a_missing_number_is_missing() -> None:
    assert parse_times(pd.Series(["20110102"])).values[0] == pd.Timestamp("2011-01-02", tz="UTC")
    parsed = parse_times(pd.Series([SECOND, float("nan")]))
    assert parsed.unreadable.tolist() == [False, False]
    assert parsed.values.isna().tolist() == [False, True]
