import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.models.contract import InputContract
from components.models.fitting import Fitted, fit
from components.packages.golden import golden_rows
from components.packages.writing import write_package

CONTRACT = InputContract((("temp", "number"), ("hour", "number"), ("weather", "category")))


def make_rows(count=200):
    draw = np.random.default_rng(7)
    rows = pd.DataFrame(
        {
            "temp": draw.normal(15, 8, count),
            "hour": draw.integers(0, 24, count).astype(float),
            "weather": draw.choice(np.array(["clear", "rain", None], dtype=object), count),
        }
    )
    rows.loc[::9, "temp"] = np.nan
    return rows


def make_target(rows, task):
    value = rows["temp"].fillna(0) * 2 + rows["hour"] + (rows["weather"] == "rain") * 9
    if task == "binary":
        return (value > value.median()).map({True: "yes", False: "no"})
    if task == "multiclass":
        return pd.qcut(value, 3, labels=["high", "low", "mid"]).astype(str)
    return value


def make_fitted(family="linear", task="regression") -> Fitted:
    rows = make_rows()
    return fit(rows, make_target(rows, task), family=family, contract=CONTRACT, task=task, seed=3)


@pytest.fixture(scope="session")
def rows():
    return make_rows()


@pytest.fixture(scope="session")
def fitted():
    return make_fitted()


@pytest.fixture(scope="session")
def fit_family():
    return make_fitted


def pack_into(folder: Path, model: Fitted, onnx_refused: str = "") -> Path:
    """Write a package of a fitted model; returns its folder."""
    rows = make_rows()
    golden = golden_rows(rows, CONTRACT, seed=0)
    about = {"recipe": {"family": model.family}}
    write_package(
        folder, model, golden=golden, reference=rows, about=about, onnx_refused=onnx_refused
    )
    return folder


@pytest.fixture(scope="session")
def pack():
    return pack_into


@pytest.fixture
def package(tmp_path, fitted, pack):
    return pack(tmp_path / "package", fitted)


@pytest.fixture(scope="session")
def forge():
    """Put other bytes into a package, with digests that fit."""
    return runpy.run_path(str(Path(__file__).with_name("forging.py")))["forge"]
