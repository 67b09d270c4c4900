"""Where a model is worse than elsewhere."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.signal import lfilter

from components.evaluation.holm import chance_above, holm
from components.evaluation.slices import (
    LEAST_ROWS,
    find_slices,
    measure_changes,
    measure_slices,
)
from components.evaluation.slicing import MISSING, OTHERS, Slice, groups_of, slices_of
from components.intervals import mean_interval

DAY = timedelta(days=1)
KINDS = {"season": "category", "temp": "number"}


def hours(rows):
    return pd.Series(pd.date_range("2026-01-01", periods=rows, freq="h", tz="UTC"))


def weather(chance, rows):
    return pd.DataFrame(
        {
            "season": chance.choice(["winter", "spring", "summer"], rows),
            "temp": chance.normal(10, 8, rows),
        }
    )


def dependent(chance, rows):
    """Draw losses whose neighbours resemble each other."""
    return 2 + lfilter([1], [1, -0.8], chance.normal(size=rows + 50))[50:]


def test_a_category_is_cut_by_value_and_a_number_into_quarters():
    rows = pd.DataFrame({"size": ["s", "l", None, "s"] * 5, "temp": np.arange(20.0)})

    assert {one.name: int(one.rows.sum()) for one in slices_of(rows, "size", "category")} == {
        "size = l": 5,
        "size = s": 10,
        f"size = {MISSING}": 5,
    }
    assert {one.name: int(one.rows.sum()) for one in slices_of(rows, "temp", "number")} == {
        "temp 4.75 to 9.5": 5,
        "temp 9.5 to 14.25": 5,
        "temp below 4.75": 5,
        "temp from 14.25": 5,
    }


def test_a_number_of_few_values_is_cut_by_value():
    rows = pd.DataFrame({"holiday": [0.0, 1.0, 0.0]})

    assert [one.name for one in slices_of(rows, "holiday", "number")] == [
        "holiday = 0",
        "holiday = 1",
    ]


def test_rare_values_of_a_category_share_a_slice():
    names = groups_of(pd.Series([*"aabbccddeeffgghhiijj", "k", "l"]), "category")

    assert (names == OTHERS).sum() == 2


@pytest.mark.parametrize("values", [[], [None], [np.nan, 1.0], [np.inf, *range(20)]])
@pytest.mark.parametrize("kind", ["number", "category"])
def test_any_column_puts_each_row_in_one_slice(values, kind):
    rows = pd.DataFrame({"x": pd.Series(values, dtype=float if kind == "number" else object)})
    together = sum(
        (one.rows.astype(int) for one in slices_of(rows, "x", kind)), np.zeros(len(rows))
    )

    assert (together == 1).all()


def test_a_slice_that_is_worse_is_surely_so_and_comes_first():
    chance = np.random.default_rng(0)
    rows, times = weather(chance, 24 * 40), hours(24 * 40)
    losses = np.abs(chance.normal(size=len(rows))) + (rows["season"] == "winter")
    found = measure_slices(
        slices_of(rows, "season", "category"), losses.to_numpy(), times, block=DAY
    )

    assert found[0].name == "season = winter"
    assert found[0].chance < 0.001
    assert found[0].excess.mean == pytest.approx(1, abs=0.15)
    assert all(one.chance > 0.05 for one in found[1:])


def test_the_excess_is_the_difference_of_two_means():
    chance = np.random.default_rng(1)
    losses, rows = chance.random(480), chance.random(480) < 0.3
    (found,) = measure_slices([Slice("some", rows)], losses, hours(480), block=DAY)

    assert found.loss.mean == pytest.approx(losses[rows].mean())
    assert found.excess.mean == pytest.approx(losses[rows].mean() - losses[~rows].mean())


def test_of_slices_that_are_no_worse_any_is_called_worse_no_more_often_than_the_level():
    chance, draws, wrong = np.random.default_rng(2), 150, 0
    for _ in range(draws):
        rows, times = weather(chance, 24 * 16), hours(24 * 16)
        slices = [one for name, kind in KINDS.items() for one in slices_of(rows, name, kind)]
        found = measure_slices(slices, dependent(chance, len(rows)), times, block=DAY)
        wrong += any(one.chance <= 0.05 for one in found)

    assert wrong <= stats.binom.ppf(0.995, draws, 0.05)


def test_slices_found_in_noise_are_called_worse_no_more_often_than_the_level():
    chance, draws, wrong = np.random.default_rng(3), 100, 0
    for _ in range(draws):
        rows, times = weather(chance, 24 * 30), hours(24 * 30)
        found = find_slices(rows, KINDS, dependent(chance, len(rows)), times, block=DAY)
        assert found
        wrong += any(one.chance <= 0.05 for one in found)

    assert wrong <= stats.binom.ppf(0.995, draws, 0.05)


def test_the_data_tell_a_slice_of_two_columns():
    chance = np.random.default_rng(4)
    rows, times = weather(chance, 24 * 120), hours(24 * 120)
    bad = (rows["season"] == "winter") & (rows["temp"] < 5)
    losses = np.abs(chance.normal(size=len(rows))) * np.where(bad, 4, 1)
    worst = find_slices(rows, KINDS, losses, times, block=DAY)[0]

    assert worst.chance < 0.01
    assert "season = winter" in worst.name
    assert "temp " in worst.name


def test_the_same_rows_in_another_order_have_the_same_slices():
    chance = np.random.default_rng(5)
    rows, times = weather(chance, 600), hours(600)
    losses, order = chance.random(600), chance.permutation(600)
    there = find_slices(rows, KINDS, losses, times, block=DAY)
    back = find_slices(rows.iloc[order], KINDS, losses[order], times.iloc[order], block=DAY)

    assert [one.name for one in back] == [one.name for one in there]
    assert [one.rows for one in back] == [one.rows for one in there]


@pytest.mark.parametrize("rows", [0, 1, 2 * LEAST_ROWS])
def test_too_few_rows_have_no_slices(rows):
    chance = np.random.default_rng(6)
    table, times = weather(chance, rows), hours(rows)

    assert find_slices(table, KINDS, np.ones(rows), times, block=DAY) == ()


def test_constant_losses_and_missing_values_find_nothing_and_break_nothing():
    chance = np.random.default_rng(7)
    rows = weather(chance, 600)
    rows.loc[::3, "temp"] = np.nan
    rows.loc[::5, "season"] = None

    assert find_slices(rows, KINDS, np.ones(600), hours(600), block=DAY) == ()
    assert find_slices(rows, KINDS, np.full(600, np.nan), hours(600), block=DAY) == ()
    some = np.where(np.arange(600) % 7, chance.random(600), np.nan)
    assert find_slices(rows, KINDS, some, hours(600), block=DAY)


def test_a_slice_that_missing_values_belong_to_says_so():
    chance = np.random.default_rng(8)
    rows = weather(chance, 2_000)
    rows.loc[::2, "temp"] = np.nan
    losses = rows["temp"].isna().to_numpy() + 0.01 * chance.random(2_000)
    worst = find_slices(rows, {"temp": "number"}, losses, hours(2_000), block=DAY)[0]

    assert worst.name.endswith("or missing")


def test_a_slice_whose_loss_rose_too_far_is_told_from_one_that_did_not():
    chance = np.random.default_rng(9)
    rows, times = weather(chance, 24 * 40), hours(24 * 40)
    before = np.abs(chance.normal(size=len(rows))) + 0.5
    after = before * np.where(rows["season"] == "winter", 1.4, 0.9)
    found = measure_changes(
        slices_of(rows, "season", "category"), before, after, times, allowed=0.1, block=DAY
    )

    assert found[0].name == "season = winter"
    assert found[0].after == pytest.approx(1.4 * found[0].before)
    assert found[0].chance < 0.001
    assert all(one.chance == 1 for one in found[1:])


def test_a_loss_that_rose_by_what_is_allowed_is_called_lost_no_more_often_than_the_level():
    chance, draws, wrong = np.random.default_rng(10), 150, 0
    for _ in range(draws):
        rows, times = weather(chance, 24 * 16), hours(24 * 16)
        before = 5 + dependent(chance, len(rows))
        after = 1.1 * before + dependent(chance, len(rows)) - 2
        found = measure_changes(
            slices_of(rows, "season", "category"), before, after, times, allowed=0.1, block=DAY
        )
        wrong += any(one.chance <= 0.05 for one in found)

    assert wrong <= stats.binom.ppf(0.995, draws, 0.05)


def test_holm_agrees_with_its_definition():
    given = np.array([0.01, 0.04, np.nan, 0.03, 0.005])

    assert holm(given)[[0, 1, 3, 4]] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert np.isnan(holm(given)[2])
    assert len(holm([])) == 0


def test_a_chance_is_that_of_students_test():
    values = np.random.default_rng(1).normal(0.1, 1, 240)
    found = mean_interval(values, hours(240), block=DAY, level=0.05)
    expected = stats.t.sf(found.mean / found.error, found.stretches - 1)

    assert chance_above(found) == pytest.approx(expected)
    assert (found.low > 0) == (chance_above(found) < 0.05)
    assert np.isnan(chance_above(mean_interval(values[:24], hours(24), block=DAY, level=0.05)))
