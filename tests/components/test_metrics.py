import numpy as np
import pandas as pd
import pytest

from components.answers import Answers
from components.metrics import metric_value, row_losses

TRUTH = pd.Series(["no", "yes", "yes", "no"])
BINARY = Answers(
    np.array(["no", "no", "yes", "no"], dtype=object),
    np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.5, 0.5]]),
    ("no", "yes"),
)
NUMBERS = Answers(np.array([1.0, 5.0, 3.0]))
TRUE_NUMBERS = pd.Series([2.0, 3.0, 3.0])


def test_errors_of_a_regression_are_in_units_of_the_target():
    assert metric_value("mae", TRUE_NUMBERS, NUMBERS) == pytest.approx(1.0)
    assert metric_value("rmse", TRUE_NUMBERS, NUMBERS) == pytest.approx((5 / 3) ** 0.5)


@pytest.mark.parametrize("seed", range(3))
def test_classification_metrics_agree_with_scikit_learn(seed):
    from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

    chance = np.random.default_rng(seed)
    classes = ("a", "b", "c")
    given = chance.dirichlet([1, 1, 1], 60).round(2) + 0.01
    given /= given.sum(axis=1, keepdims=True)
    values = np.array(classes, dtype=object)[given.argmax(axis=1)]
    truth = pd.Series(chance.choice(classes, 60))
    answers = Answers(values, given, classes)

    assert metric_value("accuracy", truth, answers) == pytest.approx(accuracy_score(truth, values))
    assert metric_value("log_loss", truth, answers) == pytest.approx(log_loss(truth, given))
    assert metric_value("roc_auc", truth, answers) == pytest.approx(
        roc_auc_score(truth, given, multi_class="ovr")
    )


def test_the_last_of_two_classes_is_the_positive_one():
    assert metric_value("roc_auc", TRUTH, BINARY) == pytest.approx(0.75)


def test_a_ranking_of_one_class_is_not_defined():
    assert np.isnan(metric_value("roc_auc", pd.Series(["no"] * 4), BINARY))


@pytest.mark.parametrize("metric", ["mae", "accuracy", "log_loss", "roc_auc"])
def test_no_rows_have_no_metric(metric):
    none = Answers(np.array([], dtype=object), np.zeros((0, 2)), ("no", "yes"))

    assert np.isnan(metric_value(metric, pd.Series([], dtype=object), none))


def test_a_class_the_model_never_saw_costs_the_most_a_row_can():
    unseen = row_losses("binary", "log_loss", pd.Series(["maybe"] * 4), BINARY)

    assert np.isfinite(unseen).all()
    assert (unseen > row_losses("binary", "log_loss", TRUTH, BINARY)).all()


@pytest.mark.parametrize(
    ("task", "metric", "truth", "answers", "losses"),
    [
        pytest.param("regression", "mae", TRUE_NUMBERS, NUMBERS, [1, 2, 0], id="absolute error"),
        pytest.param("regression", "rmse", TRUE_NUMBERS, NUMBERS, [1, 4, 0], id="squared error"),
        pytest.param("binary", "accuracy", TRUTH, BINARY, [0, 1, 0, 0], id="wrong or right"),
        pytest.param(
            "binary",
            "roc_auc",
            TRUTH,
            BINARY,
            -np.log([0.9, 0.4, 0.8, 0.5]),
            id="a ranking counts by log loss",
        ),
    ],
)
def test_every_metric_has_a_loss_of_a_row(task, metric, truth, answers, losses):
    assert row_losses(task, metric, truth, answers) == pytest.approx(losses)


def test_an_answer_that_is_no_number_leaves_its_loss_unknown():
    answers = Answers(np.array([np.nan, 5.0, 3.0]))

    assert np.isnan(row_losses("regression", "mae", TRUE_NUMBERS, answers)).tolist() == [
        True,
        False,
        False,
    ]


def test_truth_of_another_length_is_refused_in_words():
    with pytest.raises(ValueError, match=r"Got 4 true values and 3 answers"):
        metric_value("mae", TRUTH, NUMBERS)


def test_an_unknown_metric_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"must be one of roc_auc, mae.*Got 'f1'"):
        metric_value("f1", TRUTH, BINARY)


@pytest.mark.parametrize("metric", ["mae", "rmse", "accuracy", "log_loss", "roc_auc"])
def test_a_row_that_weighs_three_counts_as_three_rows(metric):
    chance = np.random.default_rng(4)
    if metric in {"mae", "rmse"}:
        truth, answers = pd.Series(chance.normal(size=40)), Answers(chance.normal(size=40))
    else:
        given = chance.dirichlet([1, 1], 40).round(1)  # with ties
        values = np.array(["no", "yes"], dtype=object)[given.argmax(axis=1)]
        truth = pd.Series(chance.choice(["no", "yes"], 40))
        answers = Answers(values, given, ("no", "yes"))
    weights = chance.integers(1, 4, 40)
    each = np.repeat(np.arange(40), weights)
    given = None if answers.probabilities is None else answers.probabilities[each]
    repeated = Answers(answers.values[each], given, answers.classes)

    weighed = metric_value(metric, truth, answers, weights.astype(float))
    assert weighed == pytest.approx(metric_value(metric, truth.iloc[each], repeated))
    alike = metric_value(metric, truth, answers, np.full(40, 0.5))
    assert alike == pytest.approx(metric_value(metric, truth, answers))


def test_a_weight_is_needed_for_each_row():
    with pytest.raises(ValueError, match="Got 3 true values and 2 weights"):
        metric_value("mae", TRUE_NUMBERS, NUMBERS, np.ones(2))
