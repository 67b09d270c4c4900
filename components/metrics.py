"""How good answers are: one number for many rows, or one loss a row for paired tests.

The gate and the baselines compare row by row, so every metric has a loss of a row: the
absolute error for ``mae``, the squared error for ``rmse``, the pinball loss for ``pinball``,
0 or 1 for ``accuracy``, and the log loss for ``log_loss`` and for what is no mean over rows:
``roc_auc``, ``pr_auc``, ``precision``, ``recall``, ``f1`` and ``calibration_error``.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from components.answers import LEAST_PROBABILITY, Answers
from components.evaluation.calibration import calibration_error

_Weights = np.ndarray | None

RANKINGS = frozenset({"roc_auc", "pr_auc"})
"""What needs probabilities, and is no mean over rows."""

RATIOS = frozenset({"precision", "recall", "f1"})
"""What is no mean over rows either."""


def metric_value(
    metric: str,
    truth: pd.Series,
    answers: Answers,
    weights: np.ndarray | None = None,
    *,
    quantile: float | None = None,
) -> float:
    """Measure answers against the truth.

    Parameters
    ----------
    metric : str
        ``mae``, ``rmse`` or ``pinball`` (in units of the target), ``roc_auc``, ``pr_auc``
        (average precision), ``accuracy``, ``precision``, ``recall``, ``f1``, ``log_loss``
        (nats a row) or ``calibration_error``. Precision, recall and f1 are those of the
        positive class of two. ``roc_auc`` and ``pr_auc`` of more than two classes are the mean
        of one against the rest.
    truth : Series of shape (n_rows,)
        Numbers for regression, else class names; without nulls.
    answers : Answers of shape (n_rows,)
    weights : ndarray of shape (n_rows,), optional
        How many rows each row stands for, above 0; by default each for itself.
    quantile : float, optional
        What a ``pinball`` answer is a quantile of, between 0 and 1.

    Returns
    -------
    float
        NaN where it is not defined: no rows, a ranking with one class in `truth`, precision
        when nothing was called positive, recall when nothing is.

    Raises
    ------
    ValueError
        If the metric is unknown, truth, answers and weights differ in length, ``pinball`` has
        no quantile, or the answers cannot be judged so (no probabilities, more classes).

    Examples
    --------
    >>> truth = pd.Series([1.0, 3.0])
    >>> metric_value("mae", truth, Answers(np.array([2.0, 3.0])))
    0.5

    """
    if weights is not None and len(weights) != len(truth):
        raise ValueError(
            f"needs one weight for each true value. Got {len(truth)} true values and "
            f"{len(weights)} weights"
        )
    if metric in _OVER_ROWS:
        _check_pairs(truth, answers)
        return _OVER_ROWS[metric](truth, answers, weights) if len(truth) else float("nan")
    if metric not in _LOSSES:
        known = ", ".join((*_LOSSES, *_OVER_ROWS))
        raise ValueError(f"metric must be one of {known}. Got {metric!r}")
    losses = _losses(metric, truth, answers, quantile)
    if not len(losses):
        return float("nan")
    mean = float(np.mean(losses) if weights is None else np.average(losses, weights=weights))
    if metric == "accuracy":
        return 1.0 - mean
    return mean**0.5 if metric == "rmse" else mean


def row_losses(
    task: str,
    metric: str,
    truth: pd.Series,
    answers: Answers,
    *,
    quantile: float | None = None,
) -> np.ndarray:
    """Compute the loss of each row, lower is better.

    Parameters
    ----------
    task : str
        ``regression``, ``binary`` or ``multiclass``.
    metric : str
        The pipeline's metric; see the top of this module for the loss that stands for it.
    truth : Series of shape (n_rows,)
    answers : Answers of shape (n_rows,)
    quantile : float, optional
        As for :func:`metric_value`.

    Returns
    -------
    ndarray of shape (n_rows,)
        float64; NaN where the answer is NaN.

    """
    if metric in _LOSSES:
        return _losses(metric, truth, answers, quantile)
    return _losses("mae" if task == "regression" else "log_loss", truth, answers, None)


def _losses(metric: str, truth: pd.Series, answers: Answers, quantile: float | None) -> np.ndarray:
    _check_pairs(truth, answers)
    if metric == "pinball":
        return _pinball(truth, answers, quantile)
    return _LOSSES[metric](truth, answers)


def _check_pairs(truth: pd.Series, answers: Answers) -> None:
    if len(truth) != len(answers.values):
        raise ValueError(
            f"needs one answer for each true value. Got {len(truth)} true values and "
            f"{len(answers.values)} answers"
        )


def _errors(truth: pd.Series, answers: Answers) -> np.ndarray:
    return np.asarray(answers.values.astype(float) - truth.to_numpy(dtype=float))


def _absolute(truth: pd.Series, answers: Answers) -> np.ndarray:
    return np.asarray(np.abs(_errors(truth, answers)))


def _squared(truth: pd.Series, answers: Answers) -> np.ndarray:
    return np.asarray(np.square(_errors(truth, answers)))


def _pinball(truth: pd.Series, answers: Answers, quantile: float | None = None) -> np.ndarray:
    if quantile is None or not 0 < quantile < 1:
        raise ValueError(f"pinball needs a quantile between 0 and 1. Got {quantile!r}")
    errors = _errors(truth, answers)
    return np.maximum((1 - quantile) * errors, -quantile * errors)


def _wrong(truth: pd.Series, answers: Answers) -> np.ndarray:
    return np.asarray(truth.to_numpy(dtype=object) != answers.values, dtype=float)


def _log_loss(truth: pd.Series, answers: Answers) -> np.ndarray:
    given = _probability_of(truth, answers)
    return np.asarray(-np.log(np.clip(given, LEAST_PROBABILITY, 1.0)))


def _probability_of(truth: pd.Series, answers: Answers) -> np.ndarray:
    """Look up the probability given to the true class; 0 for a class the model never saw."""
    if answers.probabilities is None:  # answers without probabilities count as certain
        return 1.0 - _wrong(truth, answers)
    place = pd.Index(answers.classes).get_indexer(pd.Index(truth.to_numpy(dtype=object)))
    given = answers.probabilities[np.arange(len(truth)), place]
    return np.where(place >= 0, given, 0.0)


def _roc_auc(truth: pd.Series, answers: Answers, weights: _Weights) -> float:
    return _one_against_rest("roc_auc", _area, truth, answers, weights)


def _pr_auc(truth: pd.Series, answers: Answers, weights: _Weights) -> float:
    return _one_against_rest("pr_auc", _average_precision, truth, answers, weights)


def _one_against_rest(
    metric: str,
    measured: Callable[[np.ndarray, np.ndarray, _Weights], float],
    truth: pd.Series,
    answers: Answers,
    weights: _Weights,
) -> float:
    if answers.probabilities is None:
        raise ValueError(f"{metric} needs probabilities. Got answers without any; use accuracy")
    binary = len(answers.classes) == 2  # noqa: PLR2004 - two classes mirror each other
    found = [
        measured(truth.to_numpy(dtype=object) == name, answers.probabilities[:, place], weights)
        for place, name in enumerate(answers.classes)
        if place or not binary
    ]
    defined = [value for value in found if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def _area(positive: np.ndarray, score: np.ndarray, weights: _Weights) -> float:
    """Compute the area under the ROC curve from ranks (Mann and Whitney), ties halved."""
    hits, misses = int(positive.sum()), int((~positive).sum())
    if not hits or not misses or np.isnan(score).any():
        return float("nan")
    if weights is not None:
        return _weighted_area(positive, score, weights)
    ranks = pd.Series(score).rank().to_numpy()
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def _weighted_area(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> float:
    """Give the share of pairs in order, where a pair counts as much as its two rows together."""
    levels, place = np.unique(score, return_inverse=True)
    hits = np.bincount(place, weights=weights * positive, minlength=len(levels))
    misses = np.bincount(place, weights=weights * ~positive, minlength=len(levels))
    below = np.cumsum(misses) - misses / 2
    return float((hits * below).sum() / (hits.sum() * misses.sum()))


def _average_precision(positive: np.ndarray, score: np.ndarray, weights: _Weights) -> float:
    if positive.all() or not positive.any() or np.isnan(score).any():
        return float("nan")
    from sklearn.metrics import average_precision_score  # heavy, and not for scoring

    return float(average_precision_score(positive, score, sample_weight=weights))


def _precision(truth: pd.Series, answers: Answers, weights: _Weights) -> float:
    hits, false_alarms, _ = _confused("precision", truth, answers, weights)
    return _over(hits, hits + false_alarms)


def _recall(truth: pd.Series, answers: Answers, weights: _Weights) -> float:
    hits, _, missed = _confused("recall", truth, answers, weights)
    return _over(hits, hits + missed)


def _f1(truth: pd.Series, answers: Answers, weights: _Weights) -> float:
    hits, false_alarms, missed = _confused("f1", truth, answers, weights)
    return _over(2 * hits, 2 * hits + false_alarms + missed)


def _confused(
    metric: str, truth: pd.Series, answers: Answers, weights: _Weights
) -> tuple[float, float, float]:
    """Count hits, false alarms and what was missed, of the positive class."""
    names = truth.to_numpy(dtype=object)
    # A baseline that has seen one class only does not know yet which of two is positive.
    two = answers.classes if len(answers.classes) > 1 else sorted({*answers.classes, *names})
    if len(two) > 2:  # noqa: PLR2004 - positive or not
        raise ValueError(f"{metric} is of two classes. Got {len(two)}; use accuracy or log_loss")
    if len(two) < 2:  # noqa: PLR2004 - and with one it is not known which
        return float("nan"), float("nan"), float("nan")
    said, true = answers.values == two[-1], names == two[-1]
    each = np.ones(len(names)) if weights is None else weights
    return float(each @ (said & true)), float(each @ (said & ~true)), float(each @ (~said & true))


def _over(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


_LOSSES: dict[str, Callable[[pd.Series, Answers], np.ndarray]] = {
    "mae": _absolute,
    "rmse": _squared,
    "pinball": _pinball,
    "accuracy": _wrong,
    "log_loss": _log_loss,
}
_OVER_ROWS: dict[str, Callable[[pd.Series, Answers, _Weights], float]] = {
    "roc_auc": _roc_auc,
    "pr_auc": _pr_auc,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "calibration_error": calibration_error,
}
