"""Since when rows follow the rule of today."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from components.changes import LEVEL, last_change
from components.pipelines import Pipeline

START = pd.Timestamp("2024-01-01", tz="UTC")


def pipeline(task: str = "regression") -> Pipeline:
    return Pipeline.model_validate(
        {
            "name": "rides",
            "source": {"path": "rides.csv"},
            "time": "at",
            "target": "count",
            "task": task,
            "label_delay": "1d",
            "columns": {"heat": "number"},
        }
    )


def rows_of(signs: list[int], *, seed: int = 0, task: str = "regression") -> pd.DataFrame:
    """Make 40 days of four rows for each sign, which heat acts by."""
    chance = np.random.default_rng(seed)
    sign = np.repeat(signs, 160)
    at = pd.date_range(START, periods=len(sign), freq="6h")
    heat = chance.normal(size=len(sign))
    value = 3 * sign * heat + chance.normal(size=len(sign))
    label = value if task == "regression" else np.where(value > 0, "yes", "no")
    return pd.DataFrame({"event_time": at, "heat": heat, "label": label})


@pytest.mark.parametrize("task", ["regression", "binary"])
@pytest.mark.parametrize(
    ("signs", "day"), [([1, -1], 40), ([1, 1, 1, -1], 120), ([1, -1, 1, -1], 120)], ids=str
)
def test_the_last_change_is_found_within_days(task, signs, day):
    change = last_change(rows_of(signs, task=task), pipeline(task))
    assert change is not None
    assert abs(change - (START + timedelta(days=day))) <= timedelta(days=4)


def test_where_nothing_changes_a_cut_is_as_rare_as_stated():
    found = [last_change(rows_of([1, 1], seed=seed), pipeline()) for seed in range(100)]
    # Of 100 at a level of 1 %, four or more have a chance below 2 %.
    assert LEVEL == 0.01
    assert sum(change is not None for change in found) <= 3


def test_no_change_is_looked_for_among_the_newest_rows():
    rows = rows_of([1, 1, 1, 1]).assign(label=lambda r: r["label"].where(r.index < 632, 1e3))
    change = last_change(rows, pipeline(), least=100)
    assert change is None or change <= rows["event_time"].iloc[-100]


@pytest.mark.parametrize("rows", [0, 1, 5], ids=str)
def test_few_rows_tell_of_no_change(rows):
    assert last_change(rows_of([1, -1]).head(rows), pipeline()) is None


def test_one_class_of_late_tells_of_no_change():
    rows = rows_of([1, 1], task="binary")
    assert last_change(rows.assign(label="no"), pipeline("binary")) is None
