"""What a training leaves in MLflow: numbers under names that compare, pictures, the search."""

import json
from datetime import timedelta

import pytest

from components.pipelines import Window
from components.recipes import Recipe
from components.search import Search, Trial
from flows.steps.training_record import EVALUATION, search_table, search_text

TRIALS = (
    Trial(Recipe("linear", Window()), 0.5, 1.25, losses=(0.4, 0.6)),
    Trial(
        Recipe("forest", Window(last=timedelta(days=90)), (("trees", 50),), ("snow",)),
        float("inf"),
        0.5,
        "TrainingError: one class, only",
    ),
)
SEARCH = Search(
    TRIALS[0].recipe,
    TRIALS,
    dropped={"snow": "constant on the training rows"},
    folds=("2024-01-01 to 2024-01-15",),
    said=("history is long enough for 1 of 3 folds to judge on",),
)


def test_a_search_is_kept_as_a_table() -> None:
    header, first, second = search_table(SEARCH).splitlines()
    assert header == "trial,family,window,settings,without,loss,losses,seconds,problem"
    assert first == "1,linear,all,,,0.5,0.4 0.6,1.25,"
    assert second == '2,forest,last 90d,trees 50,snow,,,0.5,"TrainingError: one class, only"'


def test_a_search_is_kept_in_words() -> None:
    assert search_text(SEARCH).splitlines() == [
        "linear on all: loss 0.5000 (1.2 s)",
        "forest on last 90d (trees 50), without snow: TrainingError: one class, only (0.5 s)",
        "judged on 2024-01-01 to 2024-01-15",
        "left out: snow (constant on the training rows)",
        "history is long enough for 1 of 3 folds to judge on",
        "best: linear on all",
    ]


@pytest.fixture
def run(retrained):
    """The run of the second training, and what reads its texts."""
    decision = retrained.ledger.decisions(retrained.name)[-1]
    return retrained.mlflow_run(decision.mlflow_run_id)


def test_every_measure_has_a_name_that_compares_between_versions(run) -> None:
    metrics = run.data.metrics
    for name in ("holdout_mae", "holdout_rmse"):
        assert metrics[f"{name}_low"] < metrics[name] < metrics[f"{name}_high"]
        assert {f"{name}_rival", f"{name}_naive"} <= set(metrics)
    assert {"holdout_negative_flips", "holdout_covered", "learning_gap"} <= set(metrics)
    assert run.data.params["family"] == "linear"
    assert run.data.params["training_window"] == "last 14d"


def test_evaluation_and_pictures_are_kept_with_the_run(retrained, run) -> None:
    registry = retrained.home.registry
    found = json.loads(registry.run_text(run.info.run_id, EVALUATION))
    assert found["recipe"] == {"family": "linear", "window": "last 14d"}
    assert found["rows"] == run.data.metrics["holdout_rows"]
    plots = {file.path for file in registry._client.list_artifacts(run.info.run_id, "plots")}
    assert plots == {
        f"plots/{name}.png" for name in ("error_over_time", "importance", "learning_curve")
    }
