"""How differently groups are treated."""

import numpy as np
import pandas as pd
import pytest

from components.answers import Answers
from components.evaluation.fairness import LEAST_ROWS, fairness


def binary(said):
    named = np.where(said, "yes", "no").astype(object)
    probability = said.astype(float)
    return Answers(named, np.column_stack([1 - probability, probability]), ("no", "yes"))


def test_rates_and_their_differences_are_those_of_counting():
    chance = np.random.default_rng(0)
    group = pd.Series(chance.choice(["a", "b"], 2_000), name="sex")
    positive = chance.random(2_000) < 0.4
    said = positive ^ (chance.random(2_000) < np.where(group == "a", 0.1, 0.3))
    found = fairness(pd.Series(np.where(positive, "yes", "no")), binary(said), group)

    a, b = ((group == name).to_numpy() for name in "ab")
    rates = found.groups[0].rates
    assert [one.name for one in found.groups] == ["a", "b"]
    assert found.groups[0].rows == a.sum()
    assert rates["selection_rate"] == pytest.approx(said[a].mean())
    assert rates["error_rate"] == pytest.approx((said != positive)[a].mean())
    assert rates["false_positive_rate"] == pytest.approx(said[a & ~positive].mean())
    assert rates["false_negative_rate"] == pytest.approx((~said)[a & positive].mean())
    gap = abs((~said)[a & positive].mean() - (~said)[b & positive].mean())
    assert found.differences["false_negative_rate"] == pytest.approx(gap)
    assert found.largest == max(found.differences.values())
    assert (found.column, found.too_small) == ("sex", ())


def test_a_group_too_small_takes_no_part_and_is_named():
    group = pd.Series(["a"] * 100 + ["b"] * 100 + ["c"] * (LEAST_ROWS - 1), name="origin")
    said = np.ones(len(group), dtype=bool)
    said[200:] = False
    truth = pd.Series(np.where(np.arange(len(group)) % 2, "yes", "no"))
    found = fairness(truth, binary(said), group)

    assert found.too_small == ("c",)
    assert found.groups[2].rates["selection_rate"] is None
    assert found.differences["selection_rate"] == 0


def test_a_group_of_one_class_has_no_rate_of_the_other():
    group = pd.Series(["a", "b"] * 50, name="sex")
    found = fairness(pd.Series(["no"] * 100), binary(np.arange(100) % 4 == 0), group)

    assert found.groups[0].rates["false_negative_rate"] is None
    assert found.groups[0].rates["false_positive_rate"] == 0.5
    assert found.differences["false_negative_rate"] is None


def test_more_classes_are_compared_by_error():
    group = pd.Series(["a", "b"] * 60, name="sex")
    given = np.tile([0.5, 0.3, 0.2], (120, 1))
    truth = pd.Series(np.where(group == "a", "x", "y"))
    found = fairness(truth, Answers.of_output(given, ["x", "y", "z"]), group)

    assert found.differences == {"error_rate": 1.0}


def test_numbers_are_compared_by_error_in_their_unit():
    age = pd.Series(np.arange(200.0), name="age")
    found = fairness(pd.Series(np.zeros(200)), Answers(np.arange(200.0)), age, kind="number")

    assert len(found.groups) == 4
    assert found.differences["mean_absolute_error"] == pytest.approx(150)
    assert found.largest is None


def test_missing_values_are_a_group_and_missing_answers_none():
    group = pd.Series([None, "a"] * 50, name="sex", dtype=object)
    answers = binary(np.ones(100, dtype=bool))
    answers.probabilities[:10] = np.nan
    found = fairness(pd.Series(["yes"] * 100), answers, group)

    assert {one.name: one.rows for one in found.groups} == {"(missing)": 45, "a": 45}


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_have_nothing_to_compare(rows):
    group = pd.Series(["a"] * rows, name="sex", dtype=object)
    found = fairness(pd.Series(["yes"] * rows, dtype=object), binary(np.ones(rows, bool)), group)

    assert found.largest is None
    assert len(found.groups) == rows
