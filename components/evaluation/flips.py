"""Answers that were right before and are wrong now.

A model may be better on the whole and yet break what its users rely on.

References
----------
Yan et al. Positive-congruent training: towards regression-free model updates. CVPR 2021:
negative flips.
"""

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from components.answers import Answers
from components.intervals import Interval, mean_interval


@dataclass(frozen=True, slots=True)
class Flips:
    """How many answers turned, as shares of all rows.

    Attributes
    ----------
    negative : Interval
        Right before, wrong now; of numbers: the error rose beyond the tolerance.
    positive : Interval
        Wrong before, right now; of numbers: the error fell beyond the tolerance.
    tolerance : float or None
        In units of the target; None for classes.
    rows : int

    """

    negative: Interval
    positive: Interval
    tolerance: float | None
    rows: int


def flips(
    truth: pd.Series,
    before: Answers,
    after: Answers,
    times: pd.Series,
    *,
    block: timedelta,
    level: float = 0.025,
    tolerance: float | None = None,
) -> Flips:
    """Count the answers that turned from one model to another.

    Parameters
    ----------
    truth : Series of shape (n_rows,)
    before, after : Answers of shape (n_rows,)
        Of the same rows. A missing answer is a wrong one.
    times : Series of shape (n_rows,)
        Event times, in any order.
    block, level
        As for :func:`components.intervals.mean_interval`.
    tolerance : float, optional
        For numbers: how much the absolute error of a row may rise, in units of the target. By
        default the mean absolute error of the model before: a row that flips has become worse
        by what one usually is off.

    Raises
    ------
    ValueError
        If truth, answers and times differ in length.

    """
    if not len(truth) == len(before) == len(after) == len(times):
        raise ValueError(
            f"needs two answers and a time for each true value. Got {len(truth)} true values, "
            f"{len(before)} answers before, {len(after)} after and {len(times)} times"
        )
    if before.classes or after.classes:
        names = truth.to_numpy(dtype=object)
        was, now = before.values == names, after.values == names
        negative, positive, tolerance = was & ~now, ~was & now, None
    else:
        came = truth.to_numpy(dtype=float)
        old, new = _errors(came, before), _errors(came, after)
        if tolerance is None:
            usual = old[np.isfinite(old)]
            tolerance = float(usual.mean()) if len(usual) else 0.0
        # Infinite both times is no change.
        negative, positive = new > old + tolerance, old > new + tolerance
    worse, better = (
        mean_interval(share.astype(float), times, block=block, level=level)
        for share in (negative, positive)
    )
    return Flips(worse, better, tolerance, len(truth))


def _errors(came: np.ndarray, answers: Answers) -> np.ndarray:
    errors = np.abs(answers.values.astype(float) - came)
    return np.where(np.isnan(errors), np.inf, errors)
