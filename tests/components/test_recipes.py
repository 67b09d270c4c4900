"""What is fitted, and how it is chosen."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components import recipes
from components.errors import NotEnoughHistoryError, TrainingError
from components.maturity import fair_age_of
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


@pytest.fixture(scope="module")
def hurried() -> pd.DataFrame:
    """Make 48 rows a day, a third of them late; whose labels take 12 hours, the others 2."""
    chance = np.random.default_rng(5)
    at = pd.date_range(START, periods=DAYS * 48, freq="30min")
    late = chance.random(len(at)) < 1 / 3
    known = at + pd.to_timedelta(np.where(late, 12, 2), unit="h")
    made = pd.DataFrame({"event_time": at, "known_time": known, "label": late.astype(float)})
    return made.assign(heat=chance.normal(size=len(at)))


def late_share(rows: pd.DataFrame, until: pd.Timestamp) -> float:
    newest = rows["event_time"].max()
    assert newest <= until
    return float(rows.loc[rows["event_time"] > newest - timedelta(hours=12), "label"].mean())


def test_what_is_learnt_of_the_newest_rows_is_not_what_is_known_first(
    hurried: pd.DataFrame,
) -> None:
    spec = pipeline(label_delay=None, label_time="told")
    recipe = Recipe("linear", Window())
    biased, fair = [], []
    for number in range(30, 60):
        until = START + timedelta(days=number)
        age = fair_age_of(hurried, spec, as_of=until)
        assert age == timedelta(hours=12)
        biased.append(late_share(training_rows(hurried, recipe, until=until), until))
        kept = training_rows(hurried, recipe, until=until, fair_age=age)
        fair.append(late_share(kept, until))
    assert np.mean(biased) < 0.12
    assert np.mean(fair) == pytest.approx(1 / 3, abs=0.05)


def test_a_fit_leaves_out_what_had_no_fair_chance_by_itself(
    hurried: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = pipeline(label_delay=None, label_time="told", windows=["all", "last 20d"])
    seen = []
    real = recipes.fit

    def fit(features: pd.DataFrame, *given: Any, **more: Any) -> Any:
        seen.append(features.index)
        return real(features, *given, **more)

    monkeypatch.setattr(recipes, "fit", fit)
    fit_recipe(hurried, Recipe("linear", Window()), spec, until=NOW)
    assert hurried.loc[seen[-1], "event_time"].max() == NOW - timedelta(hours=12)
    search_recipe(hurried, spec, as_of=NOW)
    cut = NOW - spec.holdout.most
    assert hurried.loc[seen[-1], "event_time"].max() == cut - timedelta(hours=12)


def test_flights_of_the_last_hours_look_on_time_until_they_had_a_fair_chance(
    datasets: Path,
) -> None:
    table = pd.read_parquet(
        datasets / "flights" / "flights.parquet", columns=["event_time", "label_time", "late"]
    ).dropna()
    rows = pd.DataFrame(
        {
            "event_time": table["event_time"].dt.tz_localize("UTC").dt.as_unit("us"),
            "known_time": table["label_time"].dt.tz_localize("UTC").dt.as_unit("us"),
            "label": table["late"].astype(float),
        }
    )
    spec, recipe = pipeline(label_delay=None, label_time="told"), Recipe("linear", Window())
    off: dict[str, list[float]] = {"biased": [], "fair": []}
    for until in pd.date_range("2013-03-01", "2013-12-28", freq="73h", tz="UTC"):
        known = rows[rows["event_time"] > until - timedelta(days=30)]
        age = fair_age_of(known, spec, as_of=until)
        for name, least in (("biased", timedelta(0)), ("fair", age)):
            kept = training_rows(known, recipe, until=until, fair_age=least)
            newest = until - max(least, timedelta(hours=1))
            since = newest - timedelta(hours=6)
            learnt = kept.loc[kept["event_time"] > since, "label"]
            truth = known.loc[known["event_time"].between(since, newest), "label"]
            if len(learnt) > 20:
                off[name].append(learnt.mean() - truth.mean())
    assert np.mean(off["biased"]) < -0.03, "late flights are missing"
    assert abs(np.mean(off["fair"])) < 0.002


def test_too_few_rows_are_said_with_what_to_do(rows: pd.DataFrame) -> None:
    with pytest.raises(NotEnoughHistoryError, match=r"rides: need at least 10 .* found 7; wait"):
        fit_recipe(rows, Recipe("linear", Window()), pipeline(), until=START + timedelta(days=2))


def test_a_recipe_is_read_back_from_plain_text() -> None:
    for window in ("all", "last 90d"):
        recipe = Recipe("lightgbm", Window.model_validate(window))
        assert Recipe.from_dict(recipe.as_dict()) == recipe
