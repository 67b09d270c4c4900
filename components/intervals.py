"""How sure a mean, a gain or a metric is, when neighbouring rows resemble each other.

Rows of one day err together, so rows are no units of evidence. Whole blocks of time are
gathered into a few consecutive stretches of about equal row counts, and Student's t is
taken over the stretches: with 8 to 14 blocks this holds its level, where the percentile
block bootstrap is too sure of itself, and it stays valid when stretches differ in variance.
It needs no random numbers.

References
----------
Ibragimov, Müller. t-Statistic based correlation and heterogeneity robust inference.
Journal of Business & Economic Statistics 28 (2010): valid for q <= 14 groups at one-sided
5 %, for any number at 4.1 % and below.

Künsch. The jackknife and the bootstrap for general stationary observations. Annals of
Statistics 17 (1989): leaving out blocks, for statistics that are no means.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from components.answers import Answers
from components.metrics import metric_value

FEW_STRETCHES, MOST_STRETCHES = 6, 12
"""Two blocks a stretch, while that leaves at least 6; never more than 12 (see References)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with a lower and an upper bound, each wrong with probability `level`.

    Together the bounds err twice as often: ask for ``level=0.025`` to draw 95 %. With fewer
    than two stretches nothing is sure: the bounds are infinite. `blocks` counts the blocks
    of time that hold rows, `stretches` the groups that t was taken over, `error` is the
    standard error.
    """

    mean: float
    low: float
    high: float
    blocks: int
    stretches: int
    error: float


def mean_interval(
    values: np.ndarray, times: pd.Series, *, block: timedelta, level: float
) -> Interval:
    """Bound the mean of values that resemble their neighbours in time.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
    times : Series of shape (n_rows,)
        Event times, in any order.
    block : timedelta
        Rows closer than this may depend on each other; blocks lie on the UTC calendar.
    level : float
        Error of each bound alone.

    Examples
    --------
    >>> days = pd.Series(pd.date_range("2026-01-01", periods=240, freq="h", tz="UTC"))
    >>> pattern = np.tile([1.0, 3.0], 120)
    >>> found = mean_interval(pattern, days, block=timedelta(days=1), level=0.05)
    >>> found.mean, found.blocks, found.stretches
    (2.0, 10, 6)

    """
    mean = float(values.mean()) if len(values) else float("nan")
    return _over_stretches(mean, (values - mean) / max(len(values), 1), times, block, level)


def gain_interval(
    before: np.ndarray, after: np.ndarray, times: pd.Series, *, block: timedelta, level: float
) -> Interval:
    """Bound the relative gain ``1 - mean(after) / mean(before)`` of paired losses.

    The ratio is linearised at its estimate: a stretch counts with how far its own loss
    after is from what the overall gain would make of its loss before.

    Parameters
    ----------
    before, after : ndarray of shape (n_rows,)
        Losses of the same rows; the mean of `before` must be above zero.
    times, block, level
        As for :func:`mean_interval`.

    """
    total = float(before.sum())
    gain = 1.0 - float(after.sum()) / total
    return _over_stretches(gain, (before * (1.0 - gain) - after) / total, times, block, level)


def metric_interval(
    metric: str,
    truth: pd.Series,
    answers: Answers,
    times: pd.Series,
    *,
    block: timedelta,
    level: float,
) -> Interval:
    """Bound a metric of many rows, also one that is no mean, by leaving out stretches.

    Parameters
    ----------
    metric, truth, answers
        As for :func:`components.metrics.metric_value`.
    times, block, level
        As for :func:`mean_interval`.

    """

    def without(left_out: np.ndarray) -> float:
        kept = ~left_out
        given = None if answers.probabilities is None else answers.probabilities[kept]
        return metric_value(
            metric, truth[kept], Answers(answers.values[kept], given, answers.classes)
        )

    stretch, blocks = _stretches(times, block)
    return _jackknife(without, stretch, blocks, level)


def _over_stretches(
    mean: float, surprise: np.ndarray, times: pd.Series, block: timedelta, level: float
) -> Interval:
    """Bound an estimate to which each row adds a `surprise`; they sum to zero."""
    stretch, blocks = _stretches(times, block)
    shares = np.bincount(stretch, weights=surprise)
    return _student(mean, float(np.square(shares).sum()), len(shares), blocks, level)


def _jackknife(
    without: Callable[[np.ndarray], float], stretch: np.ndarray, blocks: int, level: float
) -> Interval:
    count = int(stretch.max()) + 1 if len(stretch) else 0
    whole = without(np.zeros(len(stretch), dtype=bool))
    if count < 2:  # noqa: PLR2004 - one stretch has no spread
        return _student(whole, 0.0, count, blocks, level)
    parts = np.array([without(stretch == one) for one in range(count)])
    spread = np.square(parts - parts.mean()).sum() * ((count - 1) / count) ** 2
    return _student(whole, float(spread), count, blocks, level)


def _student(mean: float, squares: float, count: int, blocks: int, level: float) -> Interval:
    """Put t around a sum of `count` independent parts whose squared surprises sum to `squares`."""
    if count < 2:  # noqa: PLR2004 - one stretch has no spread
        return Interval(mean, -np.inf, np.inf, blocks, count, np.inf)
    error = float(np.sqrt(squares * count / (count - 1)))
    reach = student_quantile(level, count) * error
    return Interval(mean, mean - reach, mean + reach, blocks, count, error)


def student_quantile(level: float, stretches: int) -> float:
    """Give the t that is exceeded with probability `level`, over so many stretches."""
    from scipy.special import stdtrit  # scipy.stats takes ten times as long to import

    return float(-stdtrit(stretches - 1, level))


def _stretches(times: pd.Series, block: timedelta) -> tuple[np.ndarray, int]:
    """Give each row the number of its stretch, and count the blocks that hold rows.

    Returns
    -------
    ndarray of shape (n_rows,), int
        Stretches are whole blocks, consecutive in time, of about equal row counts.

    """
    moments = pd.DatetimeIndex(times).as_unit("us").asi8
    width = int(block.total_seconds() * 1_000_000)
    _, place, rows = np.unique(moments // width, return_inverse=True, return_counts=True)
    blocks = len(rows)
    wanted = max(min(blocks, FEW_STRETCHES), min(blocks // 2, MOST_STRETCHES))
    middle = np.cumsum(rows) - rows / 2
    group = (middle * wanted // max(len(moments), 1)).astype(int)
    _, group = np.unique(group, return_inverse=True)  # a huge block may leave a stretch empty
    return group[place], blocks
