"""Pictures of one model."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from components.answers import Answers
from components.evaluation.calibration import reliability
from components.evaluation.importance import Importance
from components.evaluation.learning_curve import LearningCurve, Step
from components.evaluation.slices import measure_slices
from components.evaluation.slicing import slices_of
from components.intervals import mean_interval
from monitoring.model_plots import (
    draw_error_over_time,
    draw_importance,
    draw_intervals,
    draw_learning_curve,
    draw_reliability,
    draw_slices,
)

DAY = timedelta(days=1)
ROWS = 24 * 20
CHANCE = np.random.default_rng(0)
SAID = CHANCE.random(ROWS)
TIMES = pd.Series(pd.date_range("2026-01-01", periods=ROWS, freq="h", tz="UTC"))
PARTED = pd.DataFrame({"season": np.where(SAID < 0.5, "winter", "summer")})
OVERALL = mean_interval(SAID, TIMES, block=DAY, level=0.025)
ONE_DAY = mean_interval(SAID[:24], TIMES[:24], block=DAY, level=0.025)
BINARY = Answers.of_output(np.column_stack([1 - SAID, SAID]), ["no", "yes"])
TRUE_NAMES = pd.Series(np.where(SAID > 0.3, "yes", "no"))
NUMBERS = Answers(SAID, intervals=np.column_stack([SAID - 0.1, SAID + 0.1]))
TRUE_NUMBERS = pd.Series(SAID + CHANCE.normal(0, 0.1, ROWS))
LONG = "a column with a very long name, as machines write them, and then some more of it"

FULL = {
    "reliability": lambda to: draw_reliability(reliability(TRUE_NAMES, BINARY), to, title="t"),
    "learning curve": lambda to: draw_learning_curve(
        LearningCurve((Step(10, None, None, "failed"), Step(20, 1.0, 3.0), Step(40, 2.0, 2.5))),
        to,
        title="t",
        loss="mae",
    ),
    "importance": lambda to: draw_importance(
        [Importance(f"{LONG} {each}", 30 - each, 29 - each, 31 - each) for each in range(30)],
        to,
        title="t",
        loss="mae",
    ),
    "error over time": lambda to: draw_error_over_time(
        [(TIMES.iloc[0], ONE_DAY), (TIMES.iloc[240], OVERALL)],
        to,
        title="t",
        loss="mae",
        cut=TIMES.iloc[100],
    ),
    "slices": lambda to: draw_slices(
        measure_slices(slices_of(PARTED, "season", "category"), SAID, TIMES, block=DAY),
        OVERALL,
        to,
        title="t",
        loss="mae",
    ),
    "intervals": lambda to: draw_intervals(TRUE_NUMBERS, NUMBERS, to, title="t", coverage=0.9),
}
EMPTY = {
    "reliability": lambda to: draw_reliability(
        reliability(TRUE_NAMES[:0], BINARY.take(np.arange(0))), to, title="t"
    ),
    "learning curve": lambda to: draw_learning_curve(
        LearningCurve((Step(10, None, None, "failed"),)), to, title="t", loss="mae"
    ),
    "importance": lambda to: draw_importance([], to, title="t", loss="mae"),
    "error over time": lambda to: draw_error_over_time([], to, title="t", loss="mae"),
    "slices": lambda to: draw_slices([], OVERALL, to, title="t", loss="mae"),
    "no intervals": lambda to: draw_intervals(
        TRUE_NUMBERS, Answers(SAID), to, title="t", coverage=0.9
    ),
    "no finite interval": lambda to: draw_intervals(
        TRUE_NUMBERS,
        Answers(SAID, intervals=np.full((ROWS, 2), np.nan)),
        to,
        title="t",
        coverage=0.9,
    ),
}


@pytest.mark.parametrize("draw", FULL.values(), ids=FULL)
def test_the_same_numbers_give_the_same_picture(tmp_path, draw):
    first, again = draw(tmp_path / "a" / "one.png"), draw(tmp_path / "two.png")

    assert first.read_bytes().startswith(b"\x89PNG")
    assert first.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("draw", EMPTY.values(), ids=EMPTY)
def test_with_nothing_to_draw_the_picture_says_so(tmp_path, draw):
    nothing = draw_importance([], tmp_path / "said.png", title="t", loss="mae")

    assert draw(tmp_path / "empty.png").read_bytes() == nothing.read_bytes()
