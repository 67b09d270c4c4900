"""Rows of every awkward kind, and one fit of each family and task a run."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from components.models import InputContract
from components.models.fitting import Fitted, fit

CONTRACT = InputContract(
    (
        ("temp", "number"),
        ("hour", "number"),
        ("weather", "category"),
        ("gust", "number"),
        ("all null", "number"),
        ("t0", "category"),  # a name that the graph would like for itself
        ("constant", "number"),
    )
)
NUMBERS = (None, np.nan, 0, -0.0, 1, 3, 1e30, -1e30, 3.4e38, -3.4e38, 1e-40, 1e300, 10**400)
NUMBERS += (float("inf"), float("-inf"), True)
TEXTS = (None, np.nan, "", "  ", "new", "a" * 500, "é\ud800", "a\0b", 7, 7.0, True, "<missing>")


def _rows(count: int, seed: int) -> pd.DataFrame:
    chance = np.random.default_rng(seed)
    weathers = np.array(["clear", "mist", "rain", None, "", "storm"], dtype=object)
    frame = pd.DataFrame(
        {
            "temp": chance.normal(size=count),
            "hour": chance.integers(0, 24, count),
            "weather": chance.choice(weathers, count, p=[0.3, 0.3, 0.2, 0.1, 0.09, 0.01]),
            "gust": chance.exponential(size=count),
            "all null": np.nan,
            "t0": chance.integers(0, 40, count),
            "constant": 3.0,
        }
    )
    frame.loc[::7, "gust"] = np.nan
    return frame


def _hostile(count: int, seed: int) -> pd.DataFrame:
    frame = _rows(count, seed).astype(object)
    chance = np.random.default_rng(seed)
    for name, kind in CONTRACT.columns:
        odd = NUMBERS if kind == "number" else TEXTS
        hit = chance.random(count) < 0.4
        frame.loc[hit, name] = [odd[place] for place in chance.integers(0, len(odd), hit.sum())]
    return frame


def _labels(frame: pd.DataFrame, task: str) -> pd.Series:
    chance = np.random.default_rng(5)
    noise = chance.normal(size=len(frame)) * 5
    wave = 80 * np.sin(frame["hour"] / 24 * 2 * np.pi)
    value = 100 + wave + 30 * frame["temp"] + 40 * (frame["weather"] == "clear") + noise
    if task == "regression":
        return value
    if task == "binary":
        return value.gt(100).map({True: "yes", False: "no"})
    return pd.cut(value, [-1e9, 60, 110, 150, 1e9], labels=["l", "m", "h", "x"]).astype(str)


@pytest.fixture(scope="session")
def contract() -> InputContract:
    """Give a contract of every kind of column."""
    return CONTRACT


@pytest.fixture(scope="session")
def rows() -> Callable[..., pd.DataFrame]:
    """Make ordinary rows: missing numbers and words, a null column, a constant one."""
    return lambda count=400, seed=0: _rows(count, seed)


@pytest.fixture(scope="session")
def hostile() -> Callable[..., pd.DataFrame]:
    """Make rows of None, NaN, unknown, empty and broken text, extremes, integers, booleans."""
    return lambda count=2_000, seed=1: _hostile(count, seed)


@pytest.fixture(scope="session")
def labels() -> Callable[[pd.DataFrame, str], pd.Series]:
    """Label rows for a task."""
    return _labels


@pytest.fixture(scope="session")
def fitted() -> Callable[[str, str], Fitted]:
    """Fit a family for a task on 400 ordinary rows, once a run."""
    known: dict[tuple[str, str], Fitted] = {}

    def get(family: str, task: str) -> Fitted:
        if (family, task) not in known:
            frame = _rows(400, 0)
            known[family, task] = fit(
                frame, _labels(frame, task), family=family, contract=CONTRACT, task=task, seed=3
            )
        return known[family, task]

    return get
