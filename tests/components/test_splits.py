"""Nobody learns from a label that was not known, nor is judged on a row that was learnt from."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.pipelines import Window
from components.pipelines.spec import Holdout
from components.splits import Split, had_a_chance, in_window, known_by, split_newest

START = pd.Timestamp("2024-01-01", tz="UTC")


def day(number: float) -> pd.Timestamp:
    return START + pd.Timedelta(days=number)


def daily(days: int, delay: float = 2.0) -> pd.DataFrame:
    at = pd.date_range(START, periods=days, freq="D")
    return pd.DataFrame({"event_time": at, "known_time": at + pd.Timedelta(days=delay)})


def held(
    rows: pd.DataFrame, as_of: float, seen: float | None = None, least: int = 5, most: int = 14
) -> Split:
    return split_newest(
        rows,
        as_of=day(as_of),
        holdout=Holdout(least_rows=least, most=timedelta(days=most)),
        seen_until=None if seen is None else day(seen),
    )


def test_no_training_label_is_unknown_at_the_cut() -> None:
    split = held(daily(60), 50)
    assert split.cut == day(36)
    assert split.train["known_time"].max() <= split.cut
    assert split.train["event_time"].max() == day(34), "the last two days were still unknown"


def test_no_holdout_label_is_unknown_at_the_moment_of_the_training() -> None:
    split = held(daily(60), 50)
    assert split.holdout["known_time"].max() <= day(50)
    assert split.holdout["event_time"].tolist() == [day(n) for n in range(36, 49)]


def test_the_holdout_is_newer_than_what_the_champion_learnt_from() -> None:
    split = held(daily(60), 50, seen=44)
    assert split.holdout["event_time"].min() > day(44)


def test_at_most_half_of_the_new_rows_is_held_out() -> None:
    split = held(daily(60, delay=0), 40, seen=20, least=3)
    assert len(split.holdout) == 10
    assert split.cut == day(31)
    assert split.train["event_time"].max() == day(30), "known at the cut, but judged on"


def test_half_of_the_new_is_bounded_by_the_widest_holdout() -> None:
    split = held(daily(100, delay=0), 90, seen=10, most=7)
    assert split.cut == day(83)


def test_more_than_half_is_held_out_where_half_would_be_too_few() -> None:
    split = held(daily(60), 52, seen=44, least=5)
    assert split.holdout["event_time"].tolist() == [day(n) for n in range(46, 51)]


def test_too_few_new_rows_are_all_held_out_and_the_gate_will_say_so() -> None:
    split = held(daily(60), 50, seen=46, least=5)
    assert split.holdout["event_time"].tolist() == [day(47), day(48)]
    assert split.cut == day(46) + timedelta(microseconds=1)


def test_without_anything_new_nothing_is_held_out() -> None:
    split = held(daily(60), 50, seen=48)
    assert split.holdout.empty
    assert not split.train.empty


def test_without_rows_both_parts_are_empty() -> None:
    for seen in (None, 3.0):
        split = held(daily(0), 50, seen=seen)
        assert split.train.empty
        assert split.holdout.empty


def test_rows_of_the_same_moment_are_not_torn_apart() -> None:
    rows = pd.concat([daily(60, delay=0)] * 4, ignore_index=True)
    split = held(rows, 40, seen=20, least=3)
    assert (split.holdout["event_time"].value_counts() == 4).all()


@given(
    delays=st.lists(st.floats(0, 10), min_size=1, max_size=80),
    as_of=st.floats(0, 90),
    seen=st.none() | st.floats(0, 80),
    least=st.integers(2, 30),
    most=st.integers(1, 40),
)
def test_whatever_the_delays_no_row_is_seen_before_its_time(
    delays: list[float], as_of: float, seen: float | None, least: int, most: int
) -> None:
    rows = daily(len(delays), delay=0)
    rows["known_time"] = rows["known_time"] + pd.to_timedelta(delays, unit="D")
    split = held(rows, as_of, seen=seen, least=least, most=most)
    assert (split.train["known_time"] <= split.cut).all()
    assert (split.holdout["event_time"] >= split.cut).all()
    assert (split.holdout["known_time"] <= day(as_of)).all()
    assert not set(split.train.index) & set(split.holdout.index)
    if seen is not None:
        assert (split.holdout["event_time"] > day(seen)).all()


def test_the_rows_given_are_left_as_they_are() -> None:
    rows = daily(60).sample(frac=1, random_state=1)
    before = rows.copy()
    held(rows, 50, seen=40)
    pd.testing.assert_frame_equal(rows, before)


def test_known_by_keeps_what_was_known_at_that_very_moment() -> None:
    assert len(known_by(daily(10), day(5))) == 4


@pytest.mark.parametrize(("window", "kept"), [("all", 10), ("last 3d", 4), ("last 90d", 10)])
def test_a_training_window_ends_now(window: str, kept: int) -> None:
    rows = in_window(daily(10), Window.model_validate(window), until=day(9))
    assert len(rows) == kept
    assert np.all(rows["event_time"] >= day(10 - kept))


# --- rows that had no fair chance of a label yet --------------------------------------------------


def hurried(days: int) -> pd.DataFrame:
    """Make 24 rows a day: a label takes 2 hours, or 20 where it is slow, every third row."""
    at = pd.date_range(START, periods=days * 24, freq="h")
    slow = np.arange(len(at)) % 3 == 0
    known = at + pd.to_timedelta(np.where(slow, 20, 2), unit="h")
    return pd.DataFrame({"event_time": at, "known_time": known, "slow": slow})


def test_of_the_newest_rows_only_the_fast_labels_are_there_so_none_is_judged_on() -> None:
    rows = hurried(60)
    held = Holdout(least_rows=5, most=timedelta(days=2))
    biased = split_newest(rows, as_of=day(50), holdout=held, seen_until=None)
    fair = split_newest(
        rows, as_of=day(50), holdout=held, seen_until=None, fair_age=timedelta(hours=20)
    )
    assert biased.holdout["slow"].mean() < 0.26
    assert fair.holdout["slow"].mean() == pytest.approx(1 / 3, abs=0.03)
    assert fair.holdout["event_time"].max() == day(50) - timedelta(hours=20)
    assert (fair.cut, len(fair.train)) == (biased.cut, len(biased.train))


def test_half_of_the_new_is_half_of_what_had_a_chance() -> None:
    held = Holdout(least_rows=5, most=timedelta(days=30))
    split = split_newest(
        hurried(60), as_of=day(50), holdout=held, seen_until=day(40), fair_age=timedelta(days=5)
    )
    assert split.cut == day(42.5) + timedelta(hours=1)
    assert split.holdout["event_time"].max() == day(45)
    assert split.train["event_time"].max() < split.cut


def test_where_nothing_must_wait_nothing_is_left_out() -> None:
    rows = hurried(5)
    assert had_a_chance(rows, timedelta(0), until=day(2)) is rows
    assert len(had_a_chance(rows, timedelta(days=1), until=day(2))) == 25
