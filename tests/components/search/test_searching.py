"""How a recipe is chosen."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components import recipes
from components.errors import TrainingError
from components.pipelines import Window
from components.recipes import Recipe
from components.search import search_recipe


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every family but the linear one fail."""
    real = recipes.fit

    def fit(*given: Any, family: str, **more: Any) -> Any:
        if family != "linear":
            raise TrainingError(f"{family} has no luck")
        return real(*given, family=family, **more)

    monkeypatch.setattr(recipes, "fit", fit)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List the families of all fits."""
    fits, real = [], recipes.fit

    def fit(*given: Any, family: str, **more: Any) -> Any:
        fits.append(family)
        return real(*given, family=family, **more)

    monkeypatch.setattr(recipes, "fit", fit)
    return fits


def test_the_search_picks_the_window_that_does_better_on_later_rows(rows, pipeline, now):
    found = search_recipe(rows, pipeline(windows=["all", "last 20d"]), as_of=now)
    assert str(found.best) == "linear on last 20d"
    losses = {str(trial.recipe): trial.loss for trial in found.trials}
    assert losses["linear on last 20d"] < losses["linear on all"]
    assert not any(trial.problem for trial in found.trials)


def test_since_change_is_found_best_without_a_number_of_days(rows, pipeline, now):
    found = search_recipe(rows, pipeline(windows=["all", "since change"]), as_of=now)
    assert str(found.best) == "linear on since change"


def test_the_search_sees_no_label_that_was_unknown(rows, pipeline, now):
    spec, moment = pipeline(windows=["all", "last 20d"]), now - timedelta(days=10)
    later = rows["known_time"] > moment
    spoilt = rows.assign(label=rows["label"].where(~later, 1e9))
    honest = search_recipe(rows[~later], spec, as_of=moment)
    spoilt_too = search_recipe(spoilt, spec, as_of=moment)
    assert [t.loss for t in honest.trials] == [t.loss for t in spoilt_too.trials]


def test_one_recipe_needs_no_search(rows, pipeline, now, counted):
    found = search_recipe(rows, pipeline(), as_of=now)
    assert (found.trials, str(found.best), counted) == ((), "linear on all", [])


@pytest.mark.usefixtures("broken")
def test_a_candidate_that_fails_is_recorded_and_loses(rows, pipeline, now):
    found = search_recipe(rows, pipeline(candidates=["forest", "linear"]), as_of=now)
    assert found.best.family == "linear"
    failed = found.trials[0]
    assert (failed.recipe.family, failed.problem) == ("forest", "forest has no luck")
    assert failed.loss == float("inf")


@pytest.mark.usefixtures("broken")
def test_when_all_fail_every_reason_is_given(rows, pipeline, now):
    spec = pipeline(candidates=["forest", "lightgbm"])
    with pytest.raises(TrainingError) as caught:
        search_recipe(rows, spec, as_of=now)
    assert "forest on all: forest has no luck" in str(caught.value)
    assert "lightgbm on all: lightgbm has no luck" in str(caught.value)


def test_labels_of_one_class_fail_in_words(rows, pipeline, now):
    spec = pipeline(task="binary", windows=["all", "last 20d"])
    with pytest.raises(TrainingError, match=r"no candidate could be fitted .*exactly 2 classes"):
        search_recipe(rows.assign(label="no"), spec, as_of=now)


def test_a_constant_target_is_learnt_as_the_constant_it_is(rows, pipeline, now):
    spec = pipeline(windows=["all", "last 20d"], search={"trials": 4})
    found = search_recipe(rows.assign(label=5.0), spec, as_of=now)
    assert min(trial.loss for trial in found.trials) == pytest.approx(0, abs=1e-6)


def test_fewer_rows_than_folds_fail_in_words(rows, pipeline, now):
    spec = pipeline(windows=["all", "last 20d"], search={"folds": 5})
    with pytest.raises(TrainingError, match="need at least 10 labelled rows to fit linear on all"):
        search_recipe(rows.tail(10).head(3), spec, as_of=now)


def test_the_only_recipe_there_is_stands_though_nothing_could_be_judged(rows, pipeline, now):
    for few in (rows.head(0), rows.tail(3)):
        found = search_recipe(few, pipeline(search={"trials": 5}), as_of=now)
        assert str(found.best) == "linear on all"
        assert "nothing was judged: linear on all: " in found.said[0]


def test_without_any_label_there_is_nothing_to_search(rows, pipeline, now):
    with pytest.raises(TrainingError, match="no label was known by 2024-03-01"):
        search_recipe(rows.head(0), pipeline(windows=["all", "last 20d"]), as_of=now)


def test_the_clock_ends_a_search_after_the_trial_it_is_at(rows, pipeline, now):
    ticks: Iterator[int] = count(0, 10)
    spec = pipeline(windows=["all", "last 20d", "last 10d"], search={"budget": "25s", "trials": 30})
    found = search_recipe(rows, spec, as_of=now, clock=lambda: next(ticks))
    assert [bool(trial.problem) for trial in found.trials] == [False, True, True]
    assert "budget was used up" in found.trials[1].problem
    assert found.best == found.trials[0].recipe
    assert found.said == ("search.budget of 25 s was used up after 3 of 30 trials",)


def test_each_trial_is_told_with_how_far_the_search_has_come(rows, pipeline, now):
    told: list[str] = []
    search_recipe(rows, pipeline(windows=["all", "last 20d"]), as_of=now, told=told.append)
    assert told == ["trying linear on all (1 of 2)", "trying linear on last 20d (2 of 2)"]


def test_settings_are_searched_within_the_number_of_trials(rows, pipeline, now):
    spec = pipeline(windows=["last 20d"], search={"trials": 9})
    found = search_recipe(rows, spec, as_of=now)
    assert len(found.trials) == 9
    assert len({trial.recipe for trial in found.trials}) == 9
    assert found.trials[0].recipe == Recipe("linear", Window(last=timedelta(days=20)))


def test_settings_are_taken_only_where_they_beat_those_of_the_house_on_every_fold(
    rows, pipeline, now
):
    for seed in range(4):
        spec = pipeline(candidates=["lightgbm"], search={"trials": 9}, seed=seed)
        found = search_recipe(rows, spec, as_of=now)
        house, *others = found.trials
        assert not house.recipe.params
        bound = [0.98 * loss for loss in house.losses]
        better = [
            trial.recipe
            for trial in others
            if not trial.problem
            and all(one <= most for one, most in zip(trial.losses, bound, strict=True))
        ]
        assert (found.best in better) == bool(better)
        assert better or found.best == house.recipe


def test_the_same_rows_seed_and_trials_give_the_same_search(rows, pipeline, now):
    spec = pipeline(candidates=["linear", "lightgbm"], search={"trials": 10})
    one, two = (search_recipe(rows, spec, as_of=now) for _ in range(2))
    assert one.best == two.best
    assert [(t.recipe, t.losses) for t in one.trials] == [(t.recipe, t.losses) for t in two.trials]
    other = spec.model_copy(update={"seed": 5})
    assert [t.recipe for t in search_recipe(rows, other, as_of=now).trials] != [
        t.recipe for t in one.trials
    ]


def test_a_recipe_far_behind_is_given_up_before_its_last_fold(rows, pipeline, now):
    spec = pipeline(windows=["all", "last 20d"], search={"trials": 16})
    found = search_recipe(rows, spec, as_of=now)
    given_up = [trial for trial in found.trials if "given up" in trial.problem]
    assert given_up
    assert all(len(trial.losses) < len(found.folds) for trial in given_up)


def test_a_family_far_behind_gets_no_trials_of_its_settings(rows, pipeline, now):
    at = np.arange(len(rows))
    stepped = rows.assign(label=10.0 * (at % 7 == 3), heat=(at % 7).astype(float))
    spec = pipeline(candidates=["linear", "lightgbm"], search={"trials": 8})
    found = search_recipe(stepped, spec, as_of=now)
    tried = [trial.recipe.family for trial in found.trials]
    assert tried.count("linear") == 1
    assert found.best.family == "lightgbm"


def test_what_serves_now_is_tried_among_the_first(rows, pipeline, now):
    champion = Recipe("linear", Window(), (("strength", 0.25),))
    found = search_recipe(rows, pipeline(), as_of=now, champion=champion)
    assert champion in [trial.recipe for trial in found.trials]
    gone = Recipe("forest", Window(), (("leaves", 100),))
    assert search_recipe(rows, pipeline(), as_of=now, champion=gone).trials == ()


def test_windows_alone_are_searched_with_the_recipe_that_serves(rows, pipeline, now):
    champion = Recipe("linear", Window(), (("strength", 0.25),))
    spec = pipeline(
        candidates=["linear", "lightgbm"], windows=["all", "last 20d"], search={"trials": 20}
    )
    found = search_recipe(rows, spec, as_of=now, champion=champion, windows_only=True)
    assert [str(trial.recipe) for trial in found.trials] == [
        "linear on all (strength 0.25)",
        "linear on last 20d (strength 0.25)",
    ]


def test_features_that_teach_nothing_or_the_answer_are_left_out_with_the_reason(
    rows, pipeline, now
):
    told = rows.assign(flat=1.0, answer=rows["label"] * 2 + 1)
    spec = pipeline(
        columns={"heat": "number", "flat": "number", "answer": "number"},
        windows=["all", "last 20d"],
    )
    found = search_recipe(told, spec, as_of=now)
    assert found.best.dropped == ("answer", "flat")
    assert found.dropped["flat"] == "constant on the training rows"
    assert "leaks: alone determines the target (R² 1)" in found.dropped["answer"]


def test_a_feature_of_chance_is_left_out_if_the_model_does_better_without(rows, pipeline, now):
    chance = np.random.default_rng(3)
    noisy = rows.assign(noise=chance.normal(size=len(rows)))
    spec = pipeline(
        columns={"heat": "number", "noise": "number"},
        candidates=["lightgbm"],
        windows=["last 20d"],
        search={"trials": 2},
    )
    found = search_recipe(noisy, spec, as_of=now)
    assert found.best.dropped == ("noise",)
    assert "permutation importance" in found.dropped["noise"]
    assert found.trials[1].loss <= 0.98 * found.trials[0].loss


def test_when_no_feature_is_left_it_is_said_why(rows, pipeline, now):
    spec = pipeline(windows=["all", "last 20d"])
    with pytest.raises(TrainingError, match=r"no feature is left .*heat: constant on the training"):
        search_recipe(rows.assign(heat=1.0), spec, as_of=now)


def test_a_leak_stays_where_there_is_nothing_else_to_learn_from(rows, pipeline, now):
    spec = pipeline(windows=["all", "last 20d"])
    found = search_recipe(rows.assign(label=rows["heat"] * 2), spec, as_of=now)
    assert found.best.dropped == ()


def test_short_history_is_judged_on_fewer_folds_and_said(rows, pipeline, now):
    spec = pipeline(windows=["all", "last 20d"], search={"trials": 1, "folds": 3})
    whole = search_recipe(rows, spec, as_of=now)
    assert (len(whole.folds), whole.said) == (3, ())
    short = search_recipe(rows[rows["event_time"] >= now - timedelta(days=15)], spec, as_of=now)
    assert len(short.folds) == 1
    assert short.said == ("history is long enough for 1 of 3 folds to judge on",)


def test_optuna_says_nothing(rows, pipeline, now, caplog, capsys):
    with caplog.at_level(logging.DEBUG):
        search_recipe(rows, pipeline(search={"trials": 5}), as_of=now)
    assert [record for record in caplog.records if record.name.startswith("optuna")] == []
    assert capsys.readouterr() == ("", "")


def test_rows_are_not_modified(rows, pipeline, now):
    before = rows.copy()
    search_recipe(rows, pipeline(search={"trials": 3}), as_of=now)
    pd.testing.assert_frame_equal(rows, before)
