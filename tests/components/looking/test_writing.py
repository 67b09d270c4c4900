"""How numbers and days are written is told from them, and not told where they do not say it."""

import pandas as pd
import pytest

from components.looking import Firsts, with_decimal_comma, writes_days


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
