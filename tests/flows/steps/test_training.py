"""What a retraining takes over from the champion, and what it searches for again."""

from typing import Any

import pandas as pd
import pytest

from components.pipelines import Pipeline
from components.recipes import Recipe
from flows.steps.rivals import Rival
from flows.steps.training import kept_recipe

START = pd.Timestamp("2024-01-01", tz="UTC")


def pipeline(*windows: str, **more: Any) -> Pipeline:
    given = {
        "name": "rides",
        "source": {"path": "rides.csv"},
        "time": "at",
        "target": "count",
        "task": "regression",
        "label_delay": "1d",
        "columns": {"heat": "number"},
        "candidates": ["linear"],
        "windows": list(windows),
    }
    return Pipeline.model_validate({**given, **more})


def kept(spec: Pipeline, days: float) -> bool:
    """Say whether the recipe of a champion that had seen so many days is kept."""
    recipe = Recipe("linear", spec.windows[0])
    rival = Rival(version="1", recipe=recipe, seen_until=START + pd.Timedelta(days=days))
    rows = pd.DataFrame({"event_time": pd.date_range(START, periods=400, freq="D")})
    found = kept_recipe(spec, rival, rows)
    assert found in (None, recipe)
    return found is not None


@pytest.mark.parametrize(
    ("windows", "days", "expected"),
    [
        (["all", "last 90d"], 91, False),  # both hold the same rows: noise chose
        (["all", "last 90d"], 179, False),
        (["all", "last 90d"], 180, True),
        (["last 90d", "last 30d"], 45, False),
        (["last 90d", "last 30d"], 90, True),
        (["all"], 10, True),
        (["last 90d"], 10, True),
    ],
)
def test_a_window_is_kept_once_it_could_be_told_apart(windows, days, expected) -> None:
    assert kept(pipeline(*windows), days) is expected


def test_what_left_the_pipeline_file_is_not_kept() -> None:
    rival = Rival(recipe=Recipe("forest", pipeline("all").windows[0]), seen_until=START)
    assert kept_recipe(pipeline("all"), rival, pd.DataFrame({"event_time": [START]})) is None
    assert not kept(pipeline("all", search="always"), 200)
