import numpy as np
import pandas as pd
import pytest

from components.pipelines import Pipeline
from monitoring.windows import Window

START = pd.Timestamp("2026-01-01", tz="UTC")


@pytest.fixture
def window() -> Window:
    return Window(START, START + pd.Timedelta("7D"))


@pytest.fixture
def make_pipeline():
    def make(**fields):
        given = {
            "name": "shop",
            "source": {"path": "shop.csv"},
            "time": "at",
            "target": "sold",
            "task": "regression",
            "label_delay": "1d",
            "columns": {"price": "number", "stock": "number", "town": "category"},
        }
        return Pipeline.model_validate({**given, **fields})

    return make


@pytest.fixture
def make_rows():
    """Give a maker of rows: prices around 10, stocks around 0, three towns."""

    def make(count, seed=0, **columns):
        chance = np.random.default_rng(seed)
        rows = {
            "price": chance.normal(10, 2, count),
            "stock": chance.normal(0, 1, count),
            "town": chance.choice(["Ulm", "Bonn", "Kiel"], count, p=[0.5, 0.3, 0.2]).astype(object),
        }
        return pd.DataFrame({**rows, **columns})

    return make
