from datetime import timedelta

import pandas as pd
import pytest

from monitoring.windows import Window, complete_windows

START = pd.Timestamp("2026-01-01", tz="UTC")
DAY = pd.Timedelta("1D")
WEEK = timedelta(days=7)


def test_a_window_is_complete_at_its_end_and_not_before():
    assert complete_windows(START, START + 7 * DAY - pd.Timedelta("1s"), WEEK) == []
    assert complete_windows(START, START + 7 * DAY, WEEK) == [Window(START, START + 7 * DAY)]


def test_windows_follow_each_other_without_gap_or_overlap():
    windows = complete_windows(START, START + 30 * DAY, WEEK)

    assert [window.start for window in windows[1:]] == [window.end for window in windows[:-1]]
    assert len(windows) == 4


def test_every_row_lies_in_exactly_one_window():
    times = pd.Series(pd.date_range(START, START + 28 * DAY, freq="37min", inclusive="left"))
    windows = complete_windows(START, START + 28 * DAY, WEEK)

    assert (sum(window.holds(times).astype(int) for window in windows) == 1).all()


@pytest.mark.parametrize(
    ("after", "first"),
    [
        pytest.param(START + 14 * DAY, 2, id="the end of a measured window"),
        pytest.param(START + 15 * DAY, 3, id="within a window"),
        pytest.param(START - 9 * DAY, 0, id="before the anchor"),
    ],
)
def test_windows_that_were_measured_are_left_out(after, first):
    windows = complete_windows(START, START + 35 * DAY, WEEK, after=after)

    assert windows[0].start == START + first * 7 * DAY


def test_the_grid_stays_where_it_is_whenever_the_monitor_runs():
    late = complete_windows(START, START + 33.3 * DAY, WEEK, after=START + 7 * DAY)

    assert set(late) <= set(complete_windows(START, START + 35 * DAY, WEEK))


def test_nothing_is_complete_before_the_anchor():
    assert complete_windows(START, START - 30 * DAY, WEEK) == []


def test_a_window_without_width_is_refused():
    with pytest.raises(ValueError, match="above zero"):
        complete_windows(START, START, timedelta(0))


def test_windows_sort_by_time_and_are_written_without_midnights():
    early, late = Window(START, START + DAY), Window(START + DAY, START + 1.5 * DAY)

    assert sorted([late, early]) == [early, late]
    assert str(late) == "2026-01-02 to 2026-01-02 12:00"
