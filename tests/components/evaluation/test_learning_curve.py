"""Whether more rows would help."""

import numpy as np
import pandas as pd
import pytest

from components.errors import TrainingError
from components.evaluation.learning_curve import LearningCurve, Step, learning_curve

TRAIN = pd.DataFrame(
    {
        "event_time": pd.date_range("2026-01-01", periods=80, freq="h", tz="UTC"),
        "label": np.arange(80.0),
    }
)
LATER = TRAIN.tail(10).assign(label=100.0)


def mean_of(rows):
    """Fit the mean of the labels."""
    answer = rows["label"].mean()
    return lambda asked: np.abs(asked["label"] - answer).to_numpy()


def test_each_step_learns_the_newest_rows():
    curve = learning_curve(TRAIN.sample(frac=1, random_state=0), LATER, mean_of, shares=(0.25, 1))

    assert [step.rows for step in curve.steps] == [20, 80]
    assert [step.later_loss for step in curve.steps] == pytest.approx([100 - 69.5, 100 - 39.5])
    assert [step.train_loss for step in curve.steps] == pytest.approx([5, 20])


def test_rows_learnt_by_heart_are_told_by_the_gap():
    curve = LearningCurve((Step(100, 0.0, 9.0), Step(200, 1.0, 8.0)))

    assert curve.gap == pytest.approx(7 / 8)
    assert "learns rows by heart" in str(curve)


@pytest.mark.parametrize(
    ("later", "words"),
    [(8.0, "more rows may still help"), (10.0, "would not help"), (12.0, "shorter window")],
)
def test_the_last_step_says_whether_more_rows_would_help(later, words):
    curve = LearningCurve((Step(100, 9.0, 10.0), Step(200, 9.0, later)))

    assert words in str(curve)
    assert curve.last_gain == pytest.approx(1 - later / 10)


def test_a_fit_that_fails_is_kept_with_its_reason():
    def picky(rows):
        if len(rows) < 50:
            raise TrainingError("one class only")
        return mean_of(rows)

    curve = learning_curve(TRAIN, LATER, picky)

    assert [step.problem for step in curve.steps] == ["one class only"] * 3 + [""]
    assert curve.gap is not None
    assert curve.last_gain is None


@pytest.mark.parametrize("rows", [0, 1, 9])
def test_too_few_rows_have_no_curve(rows):
    curve = learning_curve(TRAIN.head(rows), LATER, mean_of)

    assert curve.steps == ()
    assert (curve.gap, curve.last_gain) == (None, None)
    assert "nothing could be fitted" in str(curve)


def test_without_later_rows_there_is_no_gap():
    curve = learning_curve(TRAIN, LATER.head(0), mean_of)

    assert curve.steps[-1].later_loss is None
    assert curve.gap is None


def test_a_loss_that_is_no_number_is_none():
    curve = learning_curve(TRAIN.assign(label=np.nan), LATER, mean_of)

    assert curve.steps[-1].train_loss is None
    assert curve.gap is None


def test_a_perfect_model_has_no_gap_to_tell():
    curve = LearningCurve((Step(100, 0.0, 0.0), Step(200, 0.0, 0.0)))

    assert (curve.gap, curve.last_gain) == (None, None)
