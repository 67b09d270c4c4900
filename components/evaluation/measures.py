"""Every number that a model's answers to later rows are judged by, with its interval.

Intervals come from leaving out stretches of time, see :mod:`components.intervals`. That takes
the place of the block bootstrap: both resample whole stretches, since neighbouring rows err
together; but the percentile bootstrap is too sure of itself where there are few blocks (bounds
of 5 % fail in 8 % of draws with 8 blocks), needs hundreds of evaluations of each metric where
this needs a dozen, and random numbers where this needs none.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from components.answers import Answers
from components.intervals import Interval, mean_interval, metric_interval

OF_NUMBERS = ("mae", "rmse")
OF_TWO = ("roc_auc", "pr_auc", "log_loss", "accuracy", "precision", "recall", "f1")
OF_MANY = ("roc_auc", "pr_auc", "log_loss", "accuracy")


@dataclass(frozen=True, slots=True)
class Measure:
    """One number for many rows; None where it is not defined, or its bounds are not known.

    Attributes
    ----------
    name : str
        A metric, or ``coverage`` (share of truths inside the interval or set), ``width`` (mean
        width of the intervals, in units of the target) or ``set_size`` (mean number of classes).
    value, low, high : float or None
        `low` and `high` are each wrong with the probability that was asked for.
    rows, blocks : int
        Rows with an answer, and the blocks of time that hold them.

    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    rows: int
    blocks: int


def measure(
    truth: pd.Series,
    answers: Answers,
    times: pd.Series,
    *,
    block: timedelta,
    level: float = 0.025,
    quantile: float | None = None,
    weights: np.ndarray | None = None,
) -> tuple[Measure, ...]:
    """Measure answers by every metric that fits them.

    Parameters
    ----------
    truth : Series of shape (n_rows,)
        Numbers for a regression, else class names; without nulls.
    answers : Answers of shape (n_rows,)
        Rows without a finite answer are left out; `rows` of each measure shows how many.
    times : Series of shape (n_rows,)
        Event times, in any order.
    block : timedelta
        Rows closer than this may depend on each other.
    level : float
        Error of each bound; 0.025 draws 95 %.
    quantile : float, optional
        Adds ``pinball`` at this quantile.
    weights : ndarray of shape (n_rows,), optional
        How many rows each row stands for; coverage, width and set size count rows.

    """
    usable = answered(answers)
    truth, answers, times = truth[usable], answers.take(usable), times[usable]
    weights = None if weights is None else weights[usable]
    found = [
        _named(
            metric,
            metric_interval(
                metric,
                truth,
                answers,
                times,
                block=block,
                level=level,
                weights=weights,
                quantile=quantile,
            ),
            len(truth),
        )
        for metric in _metrics(answers, quantile)
    ]
    found += [
        _named(name, mean_interval(values, times, block=block, level=level), len(truth))
        for name, values in _bounds(truth, answers).items()
    ]
    return tuple(found)


def answered(answers: Answers) -> np.ndarray:
    """Mark the rows that have a finite answer."""
    if answers.probabilities is not None:
        return np.asarray(np.isfinite(answers.probabilities).all(axis=1))
    if answers.values.dtype == object:  # class names without probabilities
        return np.array([value is not None for value in answers.values], dtype=bool)
    return np.isfinite(answers.values)


def inside(truth: pd.Series, answers: Answers) -> np.ndarray:
    """Mark the rows whose truth lies in the interval, or whose class is in the set.

    Raises
    ------
    ValueError
        If the answers carry neither.

    """
    if answers.intervals is not None:
        low, high = answers.intervals.T
        came = truth.to_numpy(dtype=float)
        return np.asarray((low <= came) & (came <= high))
    if answers.sets is None:
        raise ValueError("needs answers with intervals or sets. Got answers without any")
    place = pd.Index(answers.classes).get_indexer(pd.Index(truth.to_numpy(dtype=object)))
    return np.asarray(answers.sets[np.arange(len(truth)), place] & (place >= 0))


def _metrics(answers: Answers, quantile: float | None) -> tuple[str, ...]:
    if not answers.classes:
        return OF_NUMBERS if quantile is None else (*OF_NUMBERS, "pinball")
    metrics = OF_TWO if len(answers.classes) == 2 else OF_MANY  # noqa: PLR2004
    if answers.probabilities is None:
        return tuple(name for name in metrics if name not in {"roc_auc", "pr_auc", "log_loss"})
    return (*metrics, "calibration_error")


def _bounds(truth: pd.Series, answers: Answers) -> dict[str, np.ndarray]:
    if answers.intervals is not None:
        return {
            "coverage": inside(truth, answers).astype(float),
            "width": answers.intervals[:, 1] - answers.intervals[:, 0],
        }
    if answers.sets is not None:
        return {
            "coverage": inside(truth, answers).astype(float),
            "set_size": answers.sets.sum(axis=1).astype(float),
        }
    return {}


def _named(name: str, found: Interval, rows: int) -> Measure:
    return Measure(
        name, finite(found.mean), finite(found.low), finite(found.high), rows, found.blocks
    )


def finite(value: float) -> float | None:
    """Give a number as JSON can hold it: None where it is infinite or no number."""
    return float(value) if np.isfinite(value) else None
