"""Whether probabilities mean what they say."""

import numpy as np
import pandas as pd
import pytest

from components.answers import Answers
from components.evaluation.calibration import LEAST_IN_BIN, MOST_BINS, reliability


def answers(said):
    return Answers.of_output(np.column_stack([1 - said, said]), ["no", "yes"])


def came(chance, shares):
    return pd.Series(np.where(chance.random(len(shares)) < shares, "yes", "no"), dtype=object)


def test_honest_probabilities_have_the_error_that_chance_makes():
    chance = np.random.default_rng(0)
    errors = [
        reliability(came(chance, said), answers(said)).error for said in chance.random((50, 1_000))
    ]

    assert np.mean(errors) == pytest.approx(0.032, abs=0.006)


def test_probabilities_a_tenth_too_high_have_an_error_of_a_tenth():
    chance = np.random.default_rng(1)
    said = chance.uniform(0.2, 0.8, 20_000)
    found = reliability(came(chance, said - 0.1), answers(said))

    assert found.error == pytest.approx(0.1, abs=0.01)
    assert (found.came < found.said).all()
    assert len(found.rows) == MOST_BINS
    assert found.rows.sum() == 20_000


def test_the_interval_of_a_bin_holds_its_share():
    chance, held = np.random.default_rng(2), []
    for _ in range(100):
        said = np.repeat([0.05, 0.5], 40)
        found = reliability(came(chance, said), answers(said))
        held.append((found.low <= found.said) & (found.said <= found.high))

    assert 0.9 <= np.mean(held) <= 1


def test_of_many_classes_the_likeliest_is_looked_at():
    given = np.tile([0.6, 0.3, 0.1], (100, 1))
    truth = pd.Series(["a"] * 50 + ["b"] * 50)
    found = reliability(truth, Answers.of_output(given, ["a", "b", "c"]))

    assert found.said == pytest.approx([0.6])
    assert found.came == pytest.approx([0.5])


def test_a_row_that_weighs_more_counts_more():
    truth, said = pd.Series(["yes", "no"]), np.array([0.5, 0.5])
    found = reliability(truth, answers(said), np.array([3.0, 1.0]))

    assert found.came.tolist() == [0.75]


def test_probabilities_that_are_few_values_share_bins_by_value():
    said = np.repeat([0.1, 0.9], 500)
    found = reliability(pd.Series(["no"] * 1_000), answers(said))

    assert found.said == pytest.approx([0.1, 0.9])


@pytest.mark.parametrize("rows", [0, 1, LEAST_IN_BIN])
def test_few_rows_are_one_bin_or_none(rows):
    found = reliability(pd.Series(["no"] * rows, dtype=object), answers(np.full(rows, 0.25)))

    assert len(found.rows) == min(rows, 1)
    assert np.isnan(found.error) if not rows else found.error == 0.25


def test_rows_without_an_answer_are_left_out():
    said = np.array([np.nan, 0.5])

    assert reliability(pd.Series(["no", "yes"]), answers(said)).rows.tolist() == [1]


def test_answers_without_probabilities_are_refused():
    with pytest.raises(ValueError, match="needs probabilities"):
        reliability(pd.Series(["no"]), Answers(np.array(["no"], dtype=object), None, ("no", "yes")))
