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


OF_TWO = ["precision", "recall", "f1", "pr_auc", "roc_auc", "accuracy", "log_loss"]


def two_classes(rows, seed):
    chance = np.random.default_rng(seed)
    given = chance.dirichlet([1, 1], rows).round(1)  # with ties
    values = np.array(["no", "yes"], dtype=object)[given.argmax(axis=1)]
    return pd.Series(chance.choice(["no", "yes"], rows)), Answers(values, given, ("no", "yes"))


@pytest.mark.parametrize("seed", range(3))
def test_metrics_of_the_positive_class_agree_with_scikit_learn(seed):
    from sklearn import metrics

    truth, answers = two_classes(60, seed)
    measured = metrics.precision_recall_fscore_support(
        truth, answers.values, average="binary", pos_label="yes"
    )
    for name, value in zip(("precision", "recall", "f1"), measured, strict=False):
        assert metric_value(name, truth, answers) == pytest.approx(value)
    assert metric_value("pr_auc", truth, answers) == pytest.approx(
        metrics.average_precision_score(truth == "yes", answers.probabilities[:, 1])
    )


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_pinball_agrees_with_scikit_learn(quantile):
    from sklearn.metrics import mean_pinball_loss

    found = metric_value("pinball", TRUE_NUMBERS, NUMBERS, quantile=quantile)

    assert found == pytest.approx(mean_pinball_loss(TRUE_NUMBERS, NUMBERS.values, alpha=quantile))
    rows = row_losses("regression", "pinball", TRUE_NUMBERS, NUMBERS, quantile=quantile)
    assert rows.mean() == pytest.approx(found)


@pytest.mark.parametrize("quantile", [None, 0.0, 1.0, float("nan")])
def test_pinball_without_a_quantile_is_refused(quantile):
    with pytest.raises(ValueError, match="needs a quantile between 0 and 1"):
        metric_value("pinball", TRUE_NUMBERS, NUMBERS, quantile=quantile)


@pytest.mark.parametrize("metric", ["precision", "recall", "f1", "pr_auc", "calibration_error"])
def test_what_is_no_mean_over_rows_counts_a_row_by_its_log_loss(metric):
    found = row_losses("binary", metric, TRUTH, BINARY)

    assert found == pytest.approx(row_losses("binary", "log_loss", TRUTH, BINARY))


def test_precision_is_not_defined_when_nothing_is_called_positive():
    silent = Answers(np.array(["no"] * 4, dtype=object), BINARY.probabilities, ("no", "yes"))

    assert np.isnan(metric_value("precision", TRUTH, silent))
    assert metric_value("recall", TRUTH, silent) == 0
    assert metric_value("f1", TRUTH, silent) == 0


def test_recall_is_not_defined_when_nothing_is_positive():
    assert np.isnan(metric_value("recall", pd.Series(["no"] * 4), BINARY))


def test_a_baseline_that_saw_one_class_is_judged_by_the_classes_that_came():
    naive = Answers(np.array(["no"] * 4, dtype=object), np.ones((4, 1)), ("no",))

    assert metric_value("recall", TRUTH, naive) == 0
    assert np.isnan(metric_value("recall", pd.Series(["no"] * 4), naive))


def test_precision_of_many_classes_is_refused_with_what_to_use():
    many = Answers(np.array(["a"], dtype=object), np.array([[0.5, 0.3, 0.2]]), ("a", "b", "c"))

    with pytest.raises(ValueError, match=r"Got 3; use accuracy or log_loss"):
        metric_value("precision", pd.Series(["a"]), many)


@pytest.mark.parametrize("metric", ["roc_auc", "pr_auc"])
def test_a_ranking_with_an_answer_that_is_no_number_is_not_defined(metric):
    given = BINARY.probabilities.copy()
    given[0] = np.nan

    assert np.isnan(metric_value(metric, TRUTH, Answers(BINARY.values, given, BINARY.classes)))


@pytest.mark.parametrize("metric", ["mae", "pinball", "calibration_error", *OF_TWO])
def test_no_rows_have_no_metric(metric):
    none = Answers(np.array([], dtype=object), np.zeros((0, 2)), ("no", "yes"))

    assert np.isnan(metric_value(metric, pd.Series([], dtype=object), none, quantile=0.5))


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
    with pytest.raises(ValueError, match=r"must be one of mae,.*pr_auc.*Got 'gini'"):
        metric_value("gini", TRUTH, BINARY)


@pytest.mark.parametrize("metric", ["mae", "rmse", "pinball", *OF_TWO])
def test_a_row_that_weighs_three_counts_as_three_rows(metric):
    chance = np.random.default_rng(4)
    truth, answers = two_classes(40, 4)
    if metric not in OF_TWO:
        truth, answers = pd.Series(chance.normal(size=40)), Answers(chance.normal(size=40))
    weights = chance.integers(1, 4, 40)
    each = np.repeat(np.arange(40), weights)

    def measured(truth, answers, weights=None):
        return metric_value(metric, truth, answers, weights, quantile=0.3)

    weighed = measured(truth, answers, weights.astype(float))
    assert weighed == pytest.approx(measured(truth.iloc[each], answers.take(each)))
    alike = measured(truth, answers, np.full(40, 0.5))
    assert alike == pytest.approx(measured(truth, answers))


def test_a_weight_is_needed_for_each_row():
    with pytest.raises(ValueError, match="Got 3 true values and 2 weights"):
        metric_value("mae", TRUE_NUMBERS, NUMBERS, np.ones(2))
