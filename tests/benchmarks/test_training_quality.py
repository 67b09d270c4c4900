"""The training benchmark's rivals and sources see no more than the product does."""

import importlib
import importlib.util
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from components.pipelines import Pipeline
from flows.steps.past import Past

START = pd.Timestamp("2024-01-01", tz="UTC")


def hour(count: int) -> pd.Timestamp:
    return START + pd.Timedelta(count, unit="h")


@pytest.fixture(scope="module", name="benchmark_of")
def _benchmark_of(clone: Path):
    def load(name: str) -> ModuleType:
        sys.path.insert(0, str(clone))  # `benchmarks` is a folder of scripts, not a package of ours
        try:
            return importlib.import_module(f"benchmarks.training.{name}")
        finally:
            sys.path.pop(0)

    return load


@pytest.fixture(name="pipeline")
def _pipeline() -> Pipeline:
    given = {"name": "p", "source": {"path": "p.csv"}, "time": "t", "target": "y", "id": "id"}
    given |= {"task": "regression", "label_delay": "2h"}
    given |= {"columns": {"x": "number", "word": "category"}, "history": ({"last": "label"},)}
    return Pipeline.model_validate(given)


def past_of(pipeline: Pipeline, targets: np.ndarray) -> Past:
    count = len(targets)
    ids = [f"r{n}" for n in range(count)]
    events = pd.date_range(START, periods=count, freq="h", unit="us")
    records = pd.DataFrame({"record_id": ids, "event_time": events, "known_time": events})
    records = records.assign(x=np.arange(count) % 24.0, word=["a", "b"] * (count // 2))
    labels = pd.DataFrame({"record_id": ids, "event_time": events, "label": targets})
    return Past.of(records, labels.assign(known_time=events + pd.Timedelta("2h")), pipeline)


def test_scikit_answers_every_row_from_labels_known_when_it_was_fitted(benchmark_of, pipeline):
    scikit = benchmark_of("rivals").scikit
    plain = pipeline.model_copy(update={"history": ()})
    targets = np.random.default_rng(0).normal(size=400)
    changed = np.where(np.arange(400) > 198, targets + 100, targets)  # known from hour 201 on

    rows, answers = scikit(past_of(plain, targets), plain, hour(200), timedelta(days=3))
    _, later = scikit(past_of(plain, changed), plain, hour(200), timedelta(days=3))

    assert list(rows["event_time"]) == [hour(n) for n in range(201, 400)]
    assert (answers.values[:72] == later.values[:72]).all()
    assert (answers.values[72:] != later.values[72:]).any()


def test_persistence_repeats_the_newest_label_that_was_known(benchmark_of, pipeline):
    targets = np.arange(400.0)
    found = benchmark_of("rivals").persistence(past_of(pipeline, targets), pipeline, hour(200))

    assert (found["last"][1].values == np.arange(199, 398)).all()
    assert (found["season"][1].values == np.arange(201, 400) - 168).all()


def test_every_set_has_a_pipeline_that_is_trained_just_before_the_first_row_scored(benchmark_of):
    for data in benchmark_of("sets").SETS.values():
        assert data.pipeline.history
        assert pd.Timestamp(data.pipeline.first_train).strftime("%M:%S") == "59:59"


def test_the_prices_of_elec2_are_those_before_the_one_that_decides_the_label(benchmark_of):
    sets = benchmark_of("sets")
    if not sets.SETS["elec2"].there:
        pytest.skip("elec2 is not shipped with the project; DRIFTWHEEL_DATASETS says where it lies")
    spec = importlib.util.spec_from_file_location("elec2_source", sets.HERE / "code" / "elec2.py")
    source = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(source)
    given = source.rows(None)
    raw = pd.read_csv(source.DATASETS / "elec2" / "elec2.csv.gz").set_index("seq")["nswprice"]
    row = given.set_index("seq").join(raw)
    whole = row[row["price_day"].notna()]

    assert "nswprice" not in given
    agree = (whole["nswprice"] > whole["price_day"]) == (whole["up"] == 1)
    assert agree.mean() > 0.9999  # two rows of the day that stands twice differ
    assert (row["price_before"].iloc[1:100].to_numpy() == row["nswprice"].iloc[:99]).all()
