"""A column that a part lacks is missed by name, and its likely new name is told."""

from typing import Any

import pytest

from components.checks import absent_columns
from components.pipelines import Pipeline


def pipeline(**fields: Any) -> Pipeline:
    given = {
        "name": "shop",
        "source": {"path": "orders.csv"},
        "time": "at",
        "target": "units",
        "task": "regression",
        "label_delay": "1d",
        "columns": {"temp": "number", "price": "number"},
    }
    return Pipeline.model_validate({**given, **fields})


@pytest.mark.parametrize(
    ("present", "likely"),
    [
        (["temp", "price"], {}),
        (["price"], {"temp": None}),
        (["price", "temps", "x"], {"temp": "temps"}),
        (["price", "temperature", "x"], {"temp": "temperature"}),
        (["price", "heat"], {"temp": "heat"}),
        (["price", "heat", "x"], {"temp": None}),
        (["heat"], {"temp": None, "price": None}),
        ([], {"temp": None, "price": None}),
    ],
)
def test_the_likely_new_name_is_told(present: list[str], likely: dict[str, str | None]) -> None:
    assert absent_columns(["at", "units", *present], pipeline()) == likely


def test_an_excluded_column_is_nobodys_new_name() -> None:
    assert absent_columns(["at", "units", "price", "heat"], pipeline(exclude=["heat"])) == {
        "temp": None
    }
