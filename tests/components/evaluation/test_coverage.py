"""How many live rows lie where training rows lie."""

import numpy as np
import pandas as pd
import pytest

from components.evaluation.coverage import learn_covered

KINDS = {"temp": "number", "wind": "number", "season": "category"}


def weather(rows, seed=0):
    chance = np.random.default_rng(seed)
    temp = chance.normal(10, 5, rows)
    return pd.DataFrame(
        {
            "temp": temp,
            "wind": 2 * temp + chance.normal(0, 0.5, rows),
            "season": chance.choice(["winter", "summer"], rows),
        }
    )


def test_rows_like_the_training_rows_are_covered():
    found = learn_covered(weather(4_000), KINDS, seed=0).measure(weather(2_000, seed=1))

    assert found.near == pytest.approx(0.99, abs=0.01)
    assert found.covered > 0.97
    assert found.columns["season"] == 1


def test_a_new_category_and_a_number_out_of_range_are_not_covered():
    live = weather(100, seed=1)
    live.loc[:9, "season"] = "monsoon"
    live.loc[10:29, "temp"] = 1_000.0
    found = learn_covered(weather(4_000), KINDS, seed=0).measure(live)

    assert found.columns["season"] == 0.9
    assert found.columns["temp"] == pytest.approx(0.8)
    assert found.covered <= 0.7


def test_values_known_apart_but_never_together_are_far():
    live = weather(200, seed=1)
    live["wind"] = live["wind"].to_numpy()[::-1]  # no longer twice the temperature
    found = learn_covered(weather(4_000), KINDS, seed=0).measure(live)

    assert found.columns["wind"] > 0.97
    assert found.near < 0.4


def test_a_missing_value_is_covered_where_training_rows_missed_it_too():
    train, live = weather(1_000), weather(10, seed=1)
    train.loc[::50, "wind"] = np.nan
    live.loc[:4, "wind"] = np.nan
    live.loc[:4, "temp"] = np.nan
    live.loc[:4, "season"] = None
    found = learn_covered(train, KINDS, seed=0).measure(live)

    assert found.columns == {"temp": 0.5, "wind": 1.0, "season": 0.5}


def test_no_live_rows_have_no_share():
    found = learn_covered(weather(500), KINDS, seed=0).measure(weather(0))

    assert (found.rows, found.covered, found.near) == (0, None, None)


@pytest.mark.parametrize("rows", [1, 50])
def test_few_training_rows_judge_by_column_only(rows):
    train = weather(rows)
    found = learn_covered(train, KINDS, seed=0).measure(train)

    assert (found.covered, found.near) == (1, 1)


def test_no_training_rows_cover_nothing():
    assert learn_covered(weather(0), KINDS, seed=0).measure(weather(5)).covered == 0


def test_constant_and_infinite_columns_break_nothing():
    train = weather(500).assign(wind=3.0)
    train.loc[0, "temp"] = np.inf
    live = weather(50, seed=1).assign(wind=3.0)
    live.loc[0, "temp"] = -np.inf
    found = learn_covered(train, KINDS, seed=0).measure(live)

    assert found.columns["temp"] < 1
    assert found.columns["wind"] == 1


def test_no_columns_leave_nothing_to_ask():
    found = learn_covered(weather(500), {}, seed=0).measure(weather(5))

    assert (found.covered, found.near, found.columns) == (1, 1, {})
