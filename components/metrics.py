"""How good answers are: one number for many rows, or one loss a row for paired tests.

The gate and the baselines compare row by row, so every metric has a loss of a row: the
absolute error for ``mae``, the squared error for ``rmse``, 0 or 1 for ``accuracy``, and the
log loss for ``log_loss`` and ``roc_auc`` (a ranking has no loss of its own).
"""

import numpy as np
import pandas as pd

from components.answers import Answers

LEAST_PROBABILITY = float(np.finfo(np.float32).eps)
"""No probability is taken below this: packages answer in float32, which holds no finer one."""


def metric_value(
    metric: str, truth: pd.Series, answers: Answers, weights: np.ndarray | None = None
) -> float:
    """Measure answers against the truth.

    Parameters
    ----------
    metric : str
        ``mae`` or ``rmse`` (in units of the target), ``roc_auc``, ``accuracy`` or ``log_loss``
        (nats a row). ``roc_auc`` of more than two classes is the mean of one against the rest.
    truth : Series of shape (n_rows,)
        Numbers for regression, else class names; without nulls.
    answers : Answers of shape (n_rows,)
    weights : ndarray of shape (n_rows,), optional
        How many rows each row stands for, above 0; by default each for itself.

    Returns
    -------
    float
        NaN where it is not defined: no rows, or ``roc_auc`` with one class in `truth`.

    Raises
    ------
    ValueError
        If the metric is unknown, or truth, answers and weights differ in length.

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
    if metric == "roc_auc":
        _check_pairs(truth, answers)
        return _ranking(truth, answers, weights)
    if metric not in _LOSSES:
        raise ValueError(f"metric must be one of roc_auc, {', '.join(_LOSSES)}. Got {metric!r}")
    losses = _losses(metric, truth, answers)
    if not len(losses):
        return float("nan")
    mean = float(np.mean(losses) if weights is None else np.average(losses, weights=weights))
    if metric == "accuracy":
        return 1.0 - mean
    return mean**0.5 if metric == "rmse" else mean


def row_losses(task: str, metric: str, truth: pd.Series, answers: Answers) -> np.ndarray:
    """Compute the loss of each row, lower is better.

    Parameters
    ----------
    task : str
        ``regression``, ``binary`` or ``multiclass``.
    metric : str
        The pipeline's metric; see the top of this module for the loss that stands for it.
    truth : Series of shape (n_rows,)
    answers : Answers of shape (n_rows,)

    Returns
    -------
    ndarray of shape (n_rows,)
        float64; NaN where the answer is NaN.

    """
    if metric in _LOSSES:
        return _losses(metric, truth, answers)
    return _losses("mae" if task == "regression" else "log_loss", truth, answers)


def _losses(metric: str, truth: pd.Series, answers: Answers) -> np.ndarray:
    _check_pairs(truth, answers)
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


def _ranking(truth: pd.Series, answers: Answers, weights: np.ndarray | None) -> float:
    if answers.probabilities is None:
        raise ValueError("roc_auc needs probabilities. Got answers without any; use accuracy")
    binary = len(answers.classes) == 2  # noqa: PLR2004 - two classes mirror each other
    areas = [
        _area(truth.to_numpy(dtype=object) == name, answers.probabilities[:, place], weights)
        for place, name in enumerate(answers.classes)
        if place or not binary
    ]
    defined = [area for area in areas if not np.isnan(area)]
    return float(np.mean(defined)) if defined else float("nan")


def _area(positive: np.ndarray, score: np.ndarray, weights: np.ndarray | None) -> float:
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


_LOSSES = {"mae": _absolute, "rmse": _squared, "accuracy": _wrong, "log_loss": _log_loss}
