"""Known rows stand for rows of the same outcome that are still to be known."""

import numpy as np
import pandas as pd
import pytest

from components.weights import LEAST_CHANCE, learn_waits

START = pd.Timestamp("2026-01-01", tz="UTC")
HOUR = 3_600_000_000


def past(labels, hours):
    when = pd.Series(pd.date_range(START, periods=len(labels), freq="h")).dt.as_unit("us")
    known = (when + pd.to_timedelta(hours, unit="h")).dt.as_unit("us")
    return pd.DataFrame({"event_time": when, "known_time": known, "label": labels})


def test_the_chance_to_be_known_is_that_of_the_same_outcome():
    labels = ["on time"] * 200 + ["late"] * 100
    waits = learn_waits(past(labels, [1] * 200 + [2, 6] * 50), regression=False)

    asked = pd.Series(["on time", "late", "late", "late"])
    ages = np.array([1, 1, 3, 7]) * HOUR
    assert waits.chances(asked, ages).tolist() == [1, 0, 0.5, 1]
    assert waits.least_age == pd.Timedelta("2h")


def test_outcomes_seen_rarely_share_the_wait_of_all():
    labels = ["a"] * 100 + ["b"] * 60 + ["c", "d"] * 10
    waits = learn_waits(past(labels, [1] * 100 + [3] * 80), regression=False)

    assert waits.classes == ("a", "b")
    found = waits.chances(pd.Series(["c", "never seen"]), np.array([2, 2]) * HOUR)
    assert found == pytest.approx(100 / 180)


def test_numbers_are_cut_at_their_quantiles():
    values = np.linspace(0, 10, 1_000)
    waits = learn_waits(past(values, values), regression=True)

    assert len(waits.curves) == 10
    asked = pd.Series([0.5, 9.5])
    assert waits.chances(asked, np.array([5, 5]) * HOUR).tolist() == [1, 0]
    few = learn_waits(past(values[:60], values[:60]), regression=True)
    assert len(few.curves) == 1


def test_a_wait_is_learnt_anew_without_each_part_of_the_past():
    waits = learn_waits(past(["x"] * 100, [1] * 50 + [3] * 50), regression=False)
    found = waits.chances_without(pd.Series(["x"]), np.array([2 * HOUR]), parts=2)

    assert [one.tolist() for one in found] == [[0.0], [1.0]]
    assert waits.chances(pd.Series(["x"]), np.array([2 * HOUR])) == 0.5


@pytest.mark.parametrize("regression", [True, False])
def test_nothing_learnt_says_nothing(regression):
    labels = pd.Series([], dtype=float if regression else object)
    waits = learn_waits(past(labels, []), regression=regression)

    assert waits.least_age == pd.Timedelta(0)
    asked = pd.Series([1.0] if regression else ["x"])
    assert waits.chances(asked, np.array([HOUR])) <= LEAST_CHANCE
