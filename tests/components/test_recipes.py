"""What is fitted, and on which rows."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components import recipes
from components.errors import InvalidInputError, NotEnoughHistoryError, TrainingError
from components.maturity import fair_age_of
from components.pipelines import Pipeline, Window
from components.recipes import Recipe, fit_recipe, row_weights, training_rows
from components.search import search_recipe

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
        "least_train_rows": 20,
    }
    return Pipeline.model_validate({**given, **fields})


def test_the_rows_of_a_fit_were_known_and_lie_in_its_window(rows: pd.DataFrame) -> None:
    until = START + timedelta(days=40)
    seen = training_rows(rows, Recipe("linear", Window(last="10d")), pipeline(), until=until)
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
        biased.append(late_share(training_rows(hurried, recipe, spec, until=until), until))
        kept = training_rows(hurried, recipe, spec, until=until, fair_age=age)
        fair.append(late_share(kept, until))
    assert np.mean(biased) < 0.12
    assert np.mean(fair) == pytest.approx(1 / 3, abs=0.05)


def test_a_fit_leaves_out_what_had_no_fair_chance_by_itself(
    hurried: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = pipeline(
        label_delay=None, label_time="told", windows=["all", "last 20d"], search={"trials": 1}
    )
    seen = []
    real = recipes.fit

    def fit(features: pd.DataFrame, *given: Any, **more: Any) -> Any:
        seen.append(features.index)
        return real(features, *given, **more)

    monkeypatch.setattr(recipes, "fit", fit)
    fit_recipe(hurried, Recipe("linear", Window()), spec, until=NOW)
    assert hurried.loc[seen[-1], "event_time"].max() == NOW - timedelta(hours=12)
    seen.clear()
    search_recipe(hurried, spec, as_of=NOW)
    newest = max(hurried.loc[index, "event_time"].max() for index in seen)
    assert newest == NOW - spec.holdout.most - timedelta(hours=12)


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
            kept = training_rows(known, recipe, spec, until=until, fair_age=least)
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
    for window in ("all", "last 90d", "since change"):
        plain = Recipe("lightgbm", Window.model_validate(window))
        rich = Recipe("lightgbm", plain.window, (("rounds", 300), ("leaves", 63)), ("b", "a"))
        for recipe in (plain, rich):
            assert Recipe.from_dict(recipe.as_dict()) == recipe


def test_a_recipe_written_before_recipes_had_settings_is_read() -> None:
    recipe = Recipe.from_dict({"family": "linear", "window": "all"})
    assert recipe == Recipe("linear", Window())
    assert recipe.as_dict() == {"family": "linear", "window": "all"}


def test_the_order_of_settings_makes_no_other_recipe() -> None:
    one = Recipe("lightgbm", Window(), (("leaves", 63), ("rounds", 300)), ("a", "b"))
    assert one == Recipe("lightgbm", Window(), (("rounds", 300), ("leaves", 63)), ("b", "a"))
    assert str(one) == "lightgbm on all (leaves 63, rounds 300), without a, b"


def test_a_recipe_is_fitted_with_its_settings_and_without_what_it_drops(
    rows: pd.DataFrame,
) -> None:
    spec = pipeline(columns={"heat": "number", "noise": "number"})
    recipe = Recipe("linear", Window(), (("strength", 3.0),), ("noise",))
    fitted = fit_recipe(rows.assign(noise=1.0), recipe, spec, until=NOW)
    assert fitted.settings == {"strength": 3.0}
    assert fitted.contract.names == ("heat",)


def test_after_a_long_gap_a_short_window_reaches_back_for_rows(rows: pd.DataFrame) -> None:
    spec, until = pipeline(least_train_rows=60), NOW + timedelta(days=40)
    newest = rows.iloc[[-1]].assign(event_time=until - timedelta(days=2), known_time=until)
    seen = training_rows(
        pd.concat([rows, newest]), Recipe("linear", Window(last="20d")), spec, until=until
    )
    assert len(seen) == 60
    assert seen["event_time"].max() == until - timedelta(days=2)


def test_since_change_leaves_out_what_followed_another_rule(rows: pd.DataFrame) -> None:
    spec = pipeline(least_train_rows=20)
    recipe = Recipe("linear", Window(since_change=True))
    oldest = training_rows(rows, recipe, spec, until=NOW)["event_time"].min()
    assert abs(oldest - (START + timedelta(days=30))) <= timedelta(days=1)


def test_weights_multiply_a_column_the_balance_of_classes_and_age(rows: pd.DataFrame) -> None:
    spec = pipeline(
        task="binary",
        columns={"heat": "number", "riders": "number"},
        weights={"column": "riders", "balanced": True, "half_life": "10d"},
    )
    some = pd.DataFrame(
        {
            "event_time": [START, START, START + timedelta(days=10)],
            "riders": [1.0, 2.0, 4.0],
            "label": ["yes", "no", "no"],
        }
    )
    weights = row_weights(some, spec)
    assert weights is not None
    assert weights.tolist() == [1.0 / 1 / 2, 2.0 / 2 / 2, 4.0 / 2]
    assert row_weights(rows, pipeline()) is None


def test_rows_that_weigh_nothing_teach_nothing(rows: pd.DataFrame) -> None:
    spec = pipeline(columns={"heat": "number", "told": "number"}, weights="told")
    late = (rows["event_time"] >= START + timedelta(days=30)).astype(float)
    weighed = fit_recipe(rows.assign(told=late), Recipe("linear", Window()), spec, until=NOW)
    answers = weighed.predict(pd.DataFrame({"heat": [-1.0, 1.0], "told": [1.0, 1.0]})).values
    np.testing.assert_allclose(answers, [60, 40], atol=1)


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf], ids=repr)
def test_weights_below_zero_or_without_end_are_refused(rows: pd.DataFrame, wrong: float) -> None:
    spec = pipeline(columns={"heat": "number", "told": "number"}, weights="told")
    told = rows.assign(told=[wrong] + [1.0] * (len(rows) - 1))
    with pytest.raises(TrainingError, match="weights that are finite, at least 0 and not all 0"):
        fit_recipe(told, Recipe("linear", Window()), spec, until=NOW)


def test_a_column_of_weights_that_is_not_there_is_named(rows: pd.DataFrame) -> None:
    with pytest.raises(TrainingError, match="'told', which the rows do not hold; known: heat"):
        fit_recipe(rows, Recipe("linear", Window()), pipeline(weights="told"), until=NOW)


def test_a_family_that_cannot_minimise_a_loss_names_those_that_can(rows: pd.DataFrame) -> None:
    spec = pipeline(loss="quantile", quantile=0.9)
    with pytest.raises(
        InvalidInputError, match=r"linear cannot .*'quantile'.*hist_boosting, lightgbm, network can"
    ):
        fit_recipe(rows, Recipe("linear", Window()), spec, until=NOW)
