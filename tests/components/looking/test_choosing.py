"""Settings leave room for a first training whatever the pace of the data."""

from datetime import timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.looking.choosing import Choices, Pace, choose
from components.looking.times import Cadence

START = pd.Timestamp("2024-01-01", tz="UTC")


def chosen(
    days: float, rows: int, wait: float = 1, step: str | None = "1h", rarest: float = 1.0
) -> Choices:
    rhythm = Cadence(None if step is None else pd.Timedelta(step), "some")
    pace = Pace(START, START + pd.Timedelta(days=days), rows, timedelta(days=wait), rhythm, rarest)
    return choose(pace, task="regression")


def test_two_years_by_the_hour_get_what_is_usual() -> None:
    found = chosen(730, 17_520)
    assert found.first_train is None
    assert found.holdout == (200, timedelta(days=14))
    assert found.monitor == (timedelta(days=7), 30)
    assert found.windows == ("all", "last 90d")
    assert (found.naive, found.season) == (("last", "season", "mean"), timedelta(days=7))


def test_daily_rows_get_wider_stretches() -> None:
    found = chosen(1500, 1500, step="1D")
    assert found.holdout[1] >= timedelta(days=182)
    assert found.monitor[0] >= timedelta(days=91)
    assert found.block == timedelta(days=7)
    assert found.schedule["ingest"] == "5 0 * * *"


@pytest.mark.parametrize(("step", "days"), [("3h", 1), ("6h", 2), ("12h", 3), ("1D", 7)])
def test_a_block_is_a_day_or_about_five_steps(step: str, days: int) -> None:
    assert chosen(730, 2_000, step=step).block == timedelta(days=days)


def test_labels_that_take_a_month_push_the_first_training_back() -> None:
    found = chosen(900, 20_000, wait=30)
    assert found.holdout[1] > timedelta(days=30)
    assert found.first_train is not None
    assert found.first_train - START >= 3 * (found.holdout[1] + timedelta(days=30))


def test_a_short_history_states_one_model_and_says_so() -> None:
    found = chosen(20, 60)
    assert found.short
    assert found.windows == ("all",)
    assert "history is short" in found.noticed[0]


def test_two_months_with_plenty_of_rows_a_day_are_searched() -> None:
    found = chosen(59, 56_640)
    assert not found.short
    assert found.holdout == (200, timedelta(days=7))
    assert not found.noticed


def test_few_days_of_many_rows_are_short_of_days_and_not_of_rows() -> None:
    found = chosen(20, 56_640)
    assert "history is short (20 days; its 56640 labelled rows would do)" in found.noticed[0]


def test_the_gate_gets_enough_rows_of_a_rare_class() -> None:
    found = chosen(730, 17_520, rarest=0.005)
    assert found.holdout == (1333, timedelta(days=91)), "10 of 2000 rows"
    assert not found.noticed


def test_a_class_too_rare_for_any_gate_is_said_and_the_search_is_kept() -> None:
    found = chosen(281, 6_744, rarest=0.0005)
    assert "about 0.3 rows are of the rarer class" in found.noticed[0]
    assert not found.short


@pytest.mark.parametrize("step", [None, "1min", "30min", "1D", "7D", "30D"])
def test_irregular_rows_have_no_season(step: str | None) -> None:
    found = chosen(700, 5000, step=step)
    assert ("season" in found.naive) == (step not in {None, "30D"})


@settings(deadline=None)
@given(
    st.floats(0.01, 4000),
    st.integers(2, 10**7),
    st.floats(0, 400),
    st.sampled_from([None, "1min", "1h", "1D", "7D"]),
)
def test_whatever_the_pace_the_widths_make_sense(
    days: float, rows: int, wait: float, step: str | None
) -> None:
    found = chosen(days, rows, wait, step)
    least, most = found.holdout
    assert 2 <= least <= 200
    assert timedelta(0) < most <= timedelta(days=max(days, 1))
    assert found.monitor[0] > timedelta(0)
    assert found.monitor[1] >= 1
    assert found.first_train is None or START <= found.first_train <= START + timedelta(days=days)
    if found.first_train is None:
        assert days >= 150
