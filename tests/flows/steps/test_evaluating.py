"""What is examined of a challenger beside its mean loss, and what of it the gate is told."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.answers import Answers
from components.metrics import row_losses
from components.pipelines import Pipeline
from components.recipes import Recipe
from components.records import EVENT_TIME, LABEL
from components.splits import Split
from flows.steps import evaluating
from flows.steps.rivals import Rival
from flows.steps.training import Evaluation, Prepared, Trained, fit_on
from monitoring.limits import Pair

START = pd.Timestamp("2024-01-01", tz="UTC")
CUT = START + pd.Timedelta(days=40)


def pipeline(**more: Any) -> Pipeline:
    given = {
        "name": "loans",
        "source": {"path": "loans.csv"},
        "time": "at",
        "target": "paid",
        "task": "regression",
        "label_delay": "1h",
        "columns": {"income": "number", "branch": "category", "age": "number"},
        "candidates": ["linear"],
        "entity": "town",
    }
    return Pipeline.model_validate({**given, **more})


def rows(spec: Pipeline, days: int = 60, seed: int = 0) -> pd.DataFrame:
    chance = np.random.default_rng(seed)
    times = pd.date_range(START, periods=days * 24, freq="h")
    count = len(times)
    income = chance.normal(size=count)
    worth = 3 * income + chance.normal(scale=0.5, size=count) + 10
    label = worth if spec.task == "regression" else np.where(worth > 10, "yes", "no")
    return pd.DataFrame(
        {
            EVENT_TIME: times,
            "known_time": times + pd.Timedelta(hours=1),
            "income": income,
            "branch": chance.choice(["north", "south"], count),
            "age": chance.integers(20, 60, count).astype(float),
            "town": chance.choice(["Ulm", "Bonn"], count),
            LABEL: label,
        }
    )


def case(
    spec: Pipeline, theirs: Any = None, frame: pd.DataFrame | None = None
) -> tuple[Prepared, Trained, Evaluation]:
    """Fit a twin on 40 days, and let it and somebody else answer the 20 after them.

    `theirs` makes the rival's answers of the twin's; by default both say the same.
    """
    frame = rows(spec) if frame is None else frame
    train = frame[frame[EVENT_TIME] < CUT]
    holdout = frame[frame[EVENT_TIME] >= CUT].reset_index(drop=True)
    twin = fit_on(train, Recipe("linear", spec.windows[0]), spec, until=CUT)
    ours = twin.fitted.predict(holdout[list(spec.inputs)])
    other = ours if theirs is None else theirs(ours, holdout)
    losses = [
        row_losses(
            spec.resolved_task,
            spec.resolved_metric,
            holdout[LABEL],
            each,
            quantile=spec.quantile,
        )
        for each in (ours, other)
    ]
    evaluation = Evaluation(
        times=holdout[EVENT_TIME],
        twin_losses=losses[0],
        rival_losses=losses[1],
        metrics={},
        naive_kind="mean",
        twin_answers=ours,
        rival_answers=other,
        naive_answers=ours,
        raw=ours,
        label_spread=1.0,
    )
    return Prepared(Split(train, holdout, CUT), None), twin, evaluation


CHAMPION = Rival(version="1", model=object())  # type: ignore[arg-type] - nobody asks it here


def better_in_the_south(ours: Answers, holdout: pd.DataFrame) -> Answers:
    truth = holdout[LABEL].to_numpy(dtype=float)
    return Answers(np.where(holdout["branch"] == "south", truth, ours.values))


def test_an_examination_is_plain_json_and_the_same_twice() -> None:
    spec = pipeline(slices=["branch", "age", "town"], sensitive=["branch"], task="binary")
    said = [
        json.dumps(
            evaluating.examine(*case(spec), spec).to_dict(),
            allow_nan=False,
        )
        for _ in range(2)
    ]
    assert said[0] == said[1]
    found = json.loads(said[0])
    assert (found["rows"], found["from"]) == (480, CUT.isoformat())
    assert set(found["measures"]) == {"model", "rival", "naive"}
    names = [one["name"] for one in found["measures"]["model"]]
    assert {"roc_auc", "pr_auc", "f1", "calibration_error"} <= set(names)
    assert len(found["slices"]) == 2 + 4 + 2
    assert found["fairness"]["model"][0]["column"] == "branch"
    assert len(found["reliability"]["model"]["said"]) == 10
    assert found["importance"][0]["column"] == "income"
    assert [step["rows"] for step in found["curve"]["steps"]] == [240, 480, 960]
    assert 0.9 < found["coverage"]["covered"] <= 1


def test_a_regression_has_intervals_on_its_errors_and_no_reliability() -> None:
    spec = pipeline(quantile=0.5, metric="pinball")
    found = evaluating.examine(*case(spec), spec)
    assert [one.name for one in found.measures["naive"]] == ["mae", "rmse", "pinball"]
    mae = found.measures["model"][0]
    assert mae.low < mae.value < mae.high
    assert (found.reliability, found.loss) == ({}, "pinball loss")
    assert len(found.over_time(spec)) == 20


def test_a_family_that_takes_long_is_not_fitted_again_for_a_curve() -> None:
    spec = pipeline()
    prepared, twin, evaluation = case(spec)
    slow = replace(twin, recipe=Recipe("network", spec.windows[0]))
    found = evaluating.examine(prepared, slow, evaluation, spec)
    assert found.curve is None
    assert found.to_dict()["curve"] is None


def test_a_curve_is_fitted_on_the_newest_rows_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(evaluating.CURVE_ROWS, "linear", 400)
    spec = pipeline()
    found = evaluating.examine(*case(spec), spec)
    assert [step.rows for step in found.curve.steps] == [100, 200, 400]


def test_the_gate_is_told_of_slices_named_and_of_those_that_lost() -> None:
    spec = pipeline(slices=["town"])
    prepared, _, evaluation = case(spec, better_in_the_south)
    beside = evaluating.examine_for_gate(prepared, evaluation, spec, CHAMPION)
    named = {one.name: one.rows for one in beside.slices}
    found = [name for name in named if not name.startswith("town")]
    assert set(named) - {*found} == {"town = Bonn", "town = Ulm"}
    held = prepared.split.holdout
    middle = held[EVENT_TIME].iloc[len(held) // 2]
    later = (held["branch"] == "south") & (held[EVENT_TIME] >= middle)
    together = np.any([named[name] for name in found], axis=0)
    assert (together == later).all()


def test_rows_without_a_loss_take_no_part_in_finding_slices() -> None:
    spec = pipeline()
    prepared, _, evaluation = case(spec, better_in_the_south)
    evaluation.rival_losses[:] = np.nan
    beside = evaluating.examine_for_gate(prepared, evaluation, spec, CHAMPION)
    assert beside.slices == ()


def test_the_gate_is_told_of_flips_calibration_and_groups() -> None:
    spec = pipeline(task="binary", sensitive=["branch"])

    def bold(ours: Answers, holdout: pd.DataFrame) -> Answers:
        sure = (holdout[LABEL] == "yes").to_numpy(dtype=float)
        return Answers.of_output(np.column_stack([1 - sure, sure]), ours.classes)

    prepared, _, evaluation = case(spec, bold)
    beside = evaluating.examine_for_gate(prepared, evaluation, spec, CHAMPION)
    wrong = (evaluation.twin_answers.values != prepared.split.holdout[LABEL]).mean()
    assert beside.flips == pytest.approx(wrong)  # it never erred: each error now is a flip
    assert beside.calibration is not None
    assert beside.calibration.champion == 0
    assert set(beside.fairness) == {
        f"difference of {rate} by branch"
        for rate in (
            "selection rate",
            "false positive rate",
            "false negative rate",
            "error rate",
        )
    }
    assert beside.fairness["difference of error rate by branch"].champion == 0
    assert isinstance(beside.fairness["difference of error rate by branch"], Pair)


def test_a_first_model_is_held_to_the_slices_that_are_named_only() -> None:
    spec = pipeline(task="binary", sensitive=["branch"], slices=["branch"])
    prepared, _, evaluation = case(spec)
    beside = evaluating.examine_for_gate(prepared, evaluation, spec, Rival())
    assert [one.name for one in beside.slices] == ["branch = north", "branch = south"]
    assert (beside.flips, beside.calibration, beside.fairness) == (None, None, {})


def test_few_held_out_rows_are_examined_all_the_same() -> None:
    spec = pipeline(task="binary", slices=["branch"], sensitive=["age"])
    frame = rows(spec, days=41).iloc[: 40 * 24 + 5]
    found = evaluating.examine(*case(spec, frame=frame), spec)
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.slices == found.found == ()
