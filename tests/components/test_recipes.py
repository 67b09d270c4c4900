"""What is fitted, and how it is chosen."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components import recipes
from components.errors import NotEnoughHistoryError, TrainingError
from components.pipelines import Pipeline, Window
from components.recipes import Recipe, fit_recipe, search_recipe, training_rows

START = pd.Timestamp("2024-01-01", tz="UTC")
DAYS = 60
NOW = START + timedelta(days=DAYS)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Make six rows a day for 60 days; from day 30 on heat keeps riders away."""
    at = pd.date_range(START, periods=DAYS * 6, freq="4h")
    heat = np.random.default_rng(1).normal(size=len(at))
    sign = np.where(np.arange(len(at)) < 30 * 6, 1, -1)
    made = pd.DataFrame({"event_time": at, "known_time": at + timedelta(days=1), "heat": heat})
    return made.assign(label=50 + 10 * sign * heat)


def pipeline(**fields: Any) -> Pipeline:
    given = {
        "name": "rides",
        "source": {"path": "rides.csv"},
        "time": "at",
        "target": "count",
        "task": "regression",
        "label_delay": "1d",
        "columns": {"heat": "number"},
        "candidates": ["linear"],
        "holdout": {"least_rows": 20, "most": "7d"},
    }
    return Pipeline.model_validate({**given, **fields})


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every family but the linear one fail."""
    real = recipes.fit

    def fit(*given: Any, family: str, **more: Any) -> Any:
        if family != "linear":
            raise TrainingError(f"{family} has no luck")
        return real(*given, family=family, **more)

    monkeypatch.setattr(recipes, "fit", fit)


def test_the_search_picks_the_window_that_does_better_on_later_rows(rows: pd.DataFrame) -> None:
    spec = pipeline(windows=["all", "last 20d"])
    found = search_recipe(rows, spec, as_of=NOW)
    assert str(found.best) == "linear on last 20d"
    losses = {str(trial.recipe): trial.loss for trial in found.trials}
    assert losses["linear on last 20d"] < losses["linear on all"]
    assert not any(trial.problem for trial in found.trials)


def test_the_search_sees_no_label_that_was_unknown(rows: pd.DataFrame) -> None:
    spec = pipeline(windows=["all", "last 20d"])
    later = rows["known_time"] > NOW - timedelta(days=10)
    spoilt = rows.assign(label=rows["label"].where(~later, 1e9))
    honest = search_recipe(rows[~later], spec, as_of=NOW - timedelta(days=10))
    spoilt_too = search_recipe(spoilt, spec, as_of=NOW - timedelta(days=10))
    assert [t.loss for t in honest.trials] == [t.loss for t in spoilt_too.trials]


def test_one_recipe_needs_no_search(rows: pd.DataFrame) -> None:
    found = search_recipe(rows, pipeline(), as_of=NOW)
    assert found.trials == ()
    assert str(found.best) == "linear on all"


@pytest.mark.usefixtures("broken")
def test_a_candidate_that_fails_is_recorded_and_loses(rows: pd.DataFrame) -> None:
    found = search_recipe(rows, pipeline(candidates=["forest", "linear"]), as_of=NOW)
    assert found.best.family == "linear"
    failed = found.trials[0]
    assert (failed.recipe.family, failed.problem) == ("forest", "forest has no luck")
    assert failed.loss == float("inf")


@pytest.mark.usefixtures("broken")
def test_when_all_fail_every_reason_is_given(rows: pd.DataFrame) -> None:
    spec = pipeline(candidates=["forest", "lightgbm"])
    with pytest.raises(TrainingError) as caught:
        search_recipe(rows, spec, as_of=NOW)
    assert "forest on all: forest has no luck" in str(caught.value)
    assert "lightgbm on all: lightgbm has no luck" in str(caught.value)


def test_a_window_without_enough_rows_loses_with_the_reason(rows: pd.DataFrame) -> None:
    found = search_recipe(rows, pipeline(windows=["last 25h", "all"]), as_of=NOW)
    assert str(found.best) == "linear on all"
    assert "need at least 10 labelled rows" in found.trials[0].problem


def test_no_trial_starts_after_the_time_is_up(rows: pd.DataFrame) -> None:
    ticks: Iterator[int] = count(0, 10)
    spec = pipeline(windows=["all", "last 20d", "last 10d"])
    found = search_recipe(rows, spec, as_of=NOW, clock=lambda: next(ticks), seconds=25)
    assert len(found.trials) == 1
    assert found.best == found.trials[0].recipe


def test_one_trial_is_made_however_little_time_there_is(rows: pd.DataFrame) -> None:
    found = search_recipe(rows, pipeline(windows=["all", "last 9d"]), as_of=NOW, seconds=0.0)
    assert len(found.trials) == 1


def test_each_trial_is_told(rows: pd.DataFrame) -> None:
    told: list[str] = []
    search_recipe(rows, pipeline(windows=["all", "last 20d"]), as_of=NOW, told=told.append)
    assert told == ["trying linear on all", "trying linear on last 20d"]


def test_the_rows_of_a_fit_were_known_and_lie_in_its_window(rows: pd.DataFrame) -> None:
    until = START + timedelta(days=40)
    seen = training_rows(rows, Recipe("linear", Window(last="10d")), until=until)
    assert seen["event_time"].min() == until - timedelta(days=10)
    assert seen["known_time"].max() == until


def test_too_few_rows_are_said_with_what_to_do(rows: pd.DataFrame) -> None:
    with pytest.raises(NotEnoughHistoryError, match=r"rides: need at least 10 .* found 7; wait"):
        fit_recipe(rows, Recipe("linear", Window()), pipeline(), until=START + timedelta(days=2))


def test_a_recipe_is_read_back_from_plain_text() -> None:
    for window in ("all", "last 90d"):
        recipe = Recipe("lightgbm", Window.model_validate(window))
        assert Recipe.from_dict(recipe.as_dict()) == recipe
