"""Durations as people write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.pipelines import parse_duration, write_duration


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90d", timedelta(days=90)),
        ("36h", timedelta(hours=36)),
        ("30min", timedelta(minutes=30)),
        ("2w", timedelta(weeks=2)),
        ("15s", timedelta(seconds=15)),
        ("1.5h", timedelta(minutes=90)),
        (" 7 d ", timedelta(days=7)),
        ("0d", timedelta(0)),
    ],
)
def test_a_number_and_a_unit_is_a_duration(text: str, meant: timedelta) -> None:
    assert parse_duration(text) == meant


def test_a_duration_stays_what_it_is() -> None:
    assert parse_duration(timedelta(days=3)) == timedelta(days=3)


@pytest.mark.parametrize("text", ["", "d", "7", "7 days", "-1d", "1D", "1m", 7, None, "1d 2h"])
def test_anything_else_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match=r"30min, 1h, 7d or 2w\. Got"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["99999999999d", "9" * 400 + "s"])
def test_a_duration_beyond_counting_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match="longer than can be counted"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**9))
def test_what_is_written_is_read_back_as_the_same(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert parse_duration(write_duration(span)) == span
