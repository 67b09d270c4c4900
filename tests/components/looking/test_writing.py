"""How numbers and days are written is told from them, and not told where they do not say it."""

import pandas as pd
import pytest

from components.looking import Firsts, measure_delay, with_decimal_comma, writes_days
from components.looking.lateness import propose_lateness


@pytest.mark.parametrize("text", ["1.2.2024", "01/02/24 05:00", "1-2-2024T5:00", "1. 2. 2024"])
def test_days_are_told_from_other_text(text: str) -> None:
    assert writes_days(pd.Series([text, None], dtype="str"))


@pytest.mark.parametrize("text", ["2024-01-02", "1.2.3", "10.0.0.1", "1/2", "x 1.2.2024"])
def test_other_text_is_told_from_days(text: str) -> None:
    assert not writes_days(pd.Series([text], dtype="str"))


def test_days_that_contradict_each_other_tell_no_order() -> None:
    found = Firsts().with_those_of(pd.Series(["31/1/2024", "1/31/2024"]))
    assert found.contradictory
    assert found.order is None


def test_thousands_are_no_decimals_unless_another_column_has_some() -> None:
    thousands = pd.Series(["1,234", "12,345"], dtype="str")
    lists = pd.Series(["1,2,3", "4"], dtype="str")
    assert with_decimal_comma({"a": thousands, "b": lists}) == []
    decimals = pd.Series(["1,5", "12,25"], dtype="str")
    assert with_decimal_comma({"a": thousands, "b": lists, "c": decimals}) == ["a", "c"]


@pytest.mark.parametrize(
    ("hours", "span"), [(0, "1D"), (24, "1D"), (25, "2D"), (24 * 20, "28D"), (24 * 400, None)]
)
def test_lateness_is_the_wait_of_nearly_all_rows_rounded_up(hours: int, span: str | None) -> None:
    day = pd.Series(pd.date_range("2026-01-01", periods=20, tz="UTC"))
    found = propose_lateness(measure_delay(day, day + pd.Timedelta(hours=hours)), "rows")
    assert (None if found is None else pd.Timedelta(found.span)) == (span and pd.Timedelta(span))


def test_one_row_in_thousands_does_not_stretch_lateness() -> None:
    day = pd.Series(pd.date_range("2020-01-01", periods=4_000, freq="h", tz="UTC"))
    known = day + pd.Timedelta(hours=3)
    known[7] += pd.Timedelta(days=90)
    found = propose_lateness(measure_delay(day, known), "rows")
    assert found is not None
    assert pd.Timedelta(found.span) == pd.Timedelta(days=1)
