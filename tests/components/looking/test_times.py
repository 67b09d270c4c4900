"""Times are read as the loop reads them; their rhythm, and where it broke, is found."""

import numpy as np
import pandas as pd
import pytest

from components.looking.oddities import notice_times
from components.looking.times import (
    cadence,
    epoch_unit,
    looks_like_times,
    read_moments,
    span_in_words,
)


def every(step: str, rows: int = 400) -> pd.Series:
    return pd.Series(pd.date_range("2024-01-01", periods=rows, freq=step, tz="UTC"))


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("h", "hourly"),
        ("30min", "half-hourly"),
        ("D", "daily"),
        ("7D", "weekly"),
        ("min", "every minute"),
        ("15min", "every quarter of an hour"),
        ("3h", "every 3 hours"),
    ],
)
def test_a_rhythm_has_its_name(step: str, words: str) -> None:
    assert cadence(every(step)).words == words
    assert cadence(every(step).sample(frac=1, random_state=1)).words == words


def test_events_by_chance_have_no_rhythm() -> None:
    waits = np.random.default_rng(1).exponential(1000, 500).cumsum()
    assert cadence(pd.Series(pd.to_datetime(waits, unit="s", utc=True))).step is None


def test_gaps_are_counted_and_the_longest_named() -> None:
    times = every("h").drop([*range(50, 60), *range(200, 203), 300])
    found = cadence(times)
    assert found.missing == 14
    assert [(b - a) / pd.Timedelta("1h") for a, b in found.gaps] == [11.0, 4.0, 2.0]


def test_a_thin_grid_is_a_rhythm_with_many_gaps() -> None:
    kept = every("D").sample(frac=0.6, random_state=2)
    assert cadence(kept).words == "daily"


@pytest.mark.parametrize("unit", ["seconds", "milliseconds", "microseconds", "nanoseconds"])
def test_numbers_that_count_from_1970_are_told_by_their_size(unit: str) -> None:
    size = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
    whole = pd.Series([1_300_000_000, 1_700_000_000]) * size[unit]
    assert epoch_unit(whole) == unit
    assert epoch_unit(whole.astype(str)) == unit


def test_other_numbers_are_no_times() -> None:
    assert epoch_unit(pd.Series([20240101, 20241231])) == ""
    assert epoch_unit(pd.Series([1, 2_000_000_000])) == ""
    assert not looks_like_times(pd.Series(["20240101"] * 3))
    assert not looks_like_times(pd.Series([1.5, 2.5]))


def test_zones_are_noticed_where_they_are_mixed() -> None:
    mixed = read_moments(pd.Series(["2024-01-01", "2024-01-02T00:00:00Z", "someday"]))
    said = notice_times("at", mixed)
    assert "1 of 2 times say their zone" in said[0]
    assert "'someday'" in said[1]
    berlin = pd.Series(pd.date_range("2024-01-01", periods=2, tz="Europe/Berlin"))
    assert "Europe/Berlin" in notice_times("at", read_moments(berlin))[0]
    assert notice_times("at", read_moments(every("h"))) == []


def test_spans_are_said_as_people_do() -> None:
    said = [span_in_words(pd.Timedelta(x)) for x in ("36h", "90min", "45s", "3D", "60min")]
    assert said == ["36 hours", "1.5 hours", "45 seconds", "3 days", "1 hour"]
