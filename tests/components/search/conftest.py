"""Rows whose rule turns around half way, and the pipeline over them."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.pipelines import Pipeline

START = pd.Timestamp("2024-01-01", tz="UTC")
DAYS = 60


@pytest.fixture(scope="session")
def now() -> pd.Timestamp:
    """Give the moment of the search: 60 days after the first row."""
    return START + timedelta(days=DAYS)


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """Make six rows a day for 60 days; from day 30 on heat keeps riders away."""
    at = pd.date_range(START, periods=DAYS * 6, freq="4h")
    heat = np.random.default_rng(1).normal(size=len(at))
    sign = np.where(np.arange(len(at)) < 30 * 6, 1, -1)
    made = pd.DataFrame({"event_time": at, "known_time": at + timedelta(days=1), "heat": heat})
    return made.assign(label=50 + 10 * sign * heat)


@pytest.fixture(scope="session")
def pipeline() -> Callable[..., Pipeline]:
    """Make a pipeline over these rows; fields may be changed."""

    def make(**fields: Any) -> Pipeline:
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
            "search": {"trials": 1},
        }
        return Pipeline.model_validate({**given, **fields})

    return make
