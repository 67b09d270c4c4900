"""The numbers that answers are judged by."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from components.answers import Answers
from components.evaluation.measures import inside, measure
from components.intervals import metric_interval
from components.metrics import metric_value

DAY = timedelta(days=1)


def hours(rows):
    return pd.Series(pd.date_range("2026-01-01", periods=rows, freq="h", tz="UTC"))


def two_classes(chance, rows):
    said = chance.beta(1, 2, rows)
    truth = pd.Series(np.where(chance.random(rows) < said, "yes", "no"), dtype=object)
    return truth, Answers.of_output(np.column_stack([1 - said, said]), ["no", "yes"])


def named(measures):
    return {one.name: one for one in measures}


def test_two_classes_are_judged_by_every_metric_with_bounds_around_it():
    truth, answers = two_classes(np.random.default_rng(0), 24 * 20)
    found = named(measure(truth, answers, hours(len(truth)), block=DAY))

    assert [*found] == [
        "roc_auc", "pr_auc", "log_loss", "accuracy", "precision", "recall", "f1",
        "calibration_error",
    ]  # fmt: skip
    for one in found.values():
        assert one.low < one.value < one.high
        assert (one.rows, one.blocks) == (480, 20)


def test_numbers_with_intervals_are_judged_by_coverage_and_width_too():
    values = np.zeros(100)
    truth = pd.Series(np.arange(100) / 10)
    answers = Answers(values, intervals=np.column_stack([values - 1, values + 4.95]))
    found = named(measure(truth, answers, hours(100), block=DAY, quantile=0.5))

    assert [*found] == ["mae", "rmse", "pinball", "coverage", "width"]
    assert found["coverage"].value == pytest.approx(0.5)
    assert found["width"].value == pytest.approx(5.95)
    assert found["pinball"].value == pytest.approx(found["mae"].value / 2)


def test_sets_are_judged_by_coverage_and_size():
    truth = pd.Series(["a", "b", "unseen"])
    answers = Answers.of_output(np.full((3, 2), 0.5), ["a", "b"])
    answers = Answers(
        answers.values, None, ("a", "b"), sets=np.array([[1, 0], [1, 0], [1, 1]], bool)
    )
    found = named(measure(truth, answers, hours(3), block=DAY))

    assert found["coverage"].value == pytest.approx(1 / 3)
    assert found["set_size"].value == pytest.approx(4 / 3)
    assert inside(truth, answers).tolist() == [True, False, False]


def test_more_classes_have_no_precision():
    given = np.random.default_rng(1).dirichlet([1, 1, 1], 50)
    truth = pd.Series(["a", "b"] * 25)
    found = named(measure(truth, Answers.of_output(given, ["a", "b", "c"]), hours(50), block=DAY))

    assert [*found] == ["roc_auc", "pr_auc", "log_loss", "accuracy", "calibration_error"]


@pytest.mark.parametrize("metric", ["roc_auc", "f1"])
def test_a_bound_of_a_ratio_or_ranking_fails_no_more_often_than_its_level(metric):
    chance, times, draws = np.random.default_rng(2), hours(24 * 14), 200
    exact = metric_value(metric, *two_classes(chance, 200_000))
    failed = 0
    for _ in range(draws):
        truth, answers = two_classes(chance, len(times))
        failed += metric_interval(metric, truth, answers, times, block=DAY, level=0.05).low > exact

    assert failed <= stats.binom.ppf(0.995, draws, 0.05)


def test_rows_without_an_answer_are_left_out_and_missed_in_the_count():
    answers = Answers(np.array([1.0, np.nan, np.inf, 2.0]))
    found = named(measure(pd.Series([1.0, 1.0, 1.0, 1.0]), answers, hours(4), block=DAY))

    assert (found["mae"].value, found["mae"].rows) == (0.5, 2)


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_have_no_bounds(rows):
    truth, answers = two_classes(np.random.default_rng(0), rows)

    for one in measure(truth, answers, hours(rows), block=DAY):
        assert (one.low, one.high, one.rows) == (None, None, rows)


def test_one_class_leaves_rankings_undefined():
    _, answers = two_classes(np.random.default_rng(0), 100)
    found = named(measure(pd.Series(["no"] * 100), answers, hours(100), block=DAY))

    assert found["roc_auc"].value is None
    assert found["recall"].value is None
    assert found["log_loss"].value > 0


def test_weights_move_the_metric():
    truth, answers = pd.Series([0.0, 0.0]), Answers(np.array([1.0, 3.0]))
    found = named(measure(truth, answers, hours(2), block=DAY, weights=np.array([1.0, 3.0])))

    assert found["mae"].value == 2.5


def test_coverage_of_answers_without_bounds_is_refused():
    with pytest.raises(ValueError, match="intervals or sets"):
        inside(pd.Series([1.0]), Answers(np.ones(1)))
