"""Answers that were right before and are wrong now."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from components.answers import Answers
from components.evaluation.flips import flips

DAY = timedelta(days=1)
CLASSES = ("no", "yes")


def hours(rows):
    return pd.Series(pd.date_range("2026-01-01", periods=rows, freq="h", tz="UTC"))


def named(values):
    return Answers(np.array(values, dtype=object), None, CLASSES)


def test_a_right_answer_turned_wrong_is_a_negative_flip():
    truth = pd.Series(["yes", "yes", "no", "no"])
    before, after = named(["yes", "yes", "no", "yes"]), named(["yes", "no", "yes", "no"])
    found = flips(truth, before, after, hours(4), block=DAY)

    assert (found.negative.mean, found.positive.mean) == (0.5, 0.25)
    assert (found.rows, found.tolerance) == (4, None)


def test_a_number_flips_when_its_error_rises_by_more_than_is_usual():
    truth = pd.Series([0.0, 0.0, 0.0, 0.0])
    before, after = Answers(np.array([1.0, 1, 1, 1])), Answers(np.array([1.5, 2.5, 1.0, -0.5]))
    found = flips(truth, before, after, hours(4), block=DAY)

    assert found.tolerance == 1
    assert (found.negative.mean, found.positive.mean) == (0.25, 0)
    strict = flips(truth, before, after, hours(4), block=DAY, tolerance=0.1)
    assert (strict.negative.mean, strict.positive.mean) == (0.5, 0.25)


def test_a_missing_answer_is_a_wrong_one():
    truth, numbers = pd.Series([1.0, 1.0]), Answers(np.array([1.0, 2.0]))
    missing = Answers(np.array([np.nan, np.nan]))

    assert flips(truth, numbers, missing, hours(2), block=DAY).negative.mean == 1
    assert flips(truth, missing, missing, hours(2), block=DAY).negative.mean == 0


def test_the_share_of_flips_has_an_interval_over_days():
    chance = np.random.default_rng(0)
    truth = pd.Series(["yes"] * 480)
    turned = named(np.where(chance.random(480) < 0.1, "no", "yes"))
    found = flips(truth, named(["yes"] * 480), turned, hours(480), block=DAY).negative

    assert found.low < 0.1 < found.high
    assert found.blocks == 20


def test_no_rows_have_no_flips():
    none = Answers(np.array([]))
    found = flips(pd.Series([], dtype=float), none, none, hours(0), block=DAY)

    assert np.isnan(found.negative.mean)
    assert found.rows == 0


def test_answers_to_other_rows_are_refused():
    with pytest.raises(ValueError, match="Got 1 true values, 1 answers before, 2 after"):
        flips(pd.Series([1.0]), Answers(np.ones(1)), Answers(np.ones(2)), hours(1), block=DAY)
