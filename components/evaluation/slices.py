"""Parts of the rows where a model is worse than elsewhere.

Slices named in the pipeline are the values of a category, or the quarters of a number. Slices
found by the data are the leaves of a shallow tree grown on the losses of the earlier half of
the rows; since a tree finds something in any noise, they are measured on the later half only.
Whether a slice is surely worse is one question of many, so p-values are Holm's.

References
----------
Chung, Kraska, Polyzotis, Tae, Whang. Slice Finder: automated data slicing for model validation.
ICDE 2019.

Athey, Imbens. Recursive partitioning for heterogeneous causal effects. PNAS 113 (2016): one part
of the rows to find the leaves, another to measure them ("honest" trees).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import pandas as pd

from components.evaluation.holm import chance_above, holm
from components.evaluation.slicing import Slice, grown_slices
from components.intervals import Interval, mean_interval

LEAST_ROWS = 50
"""A slice with fewer rows is not measured."""


@dataclass(frozen=True, slots=True)
class SliceLoss:
    """The loss of one slice beside that of all other rows.

    Attributes
    ----------
    name : str
        What the rows have in common, in words.
    rows : int
    loss : Interval
        Mean loss a row in the slice.
    excess : Interval
        How much higher that is than the mean loss of the other rows.
    chance : float
        Holm's p-value, over all slices measured together, of "no worse than elsewhere"; NaN
        where the rows lie in one stretch of time.

    """

    name: str
    rows: int
    loss: Interval
    excess: Interval
    chance: float


def measure_slices(
    slices: Sequence[Slice],
    losses: np.ndarray,
    times: pd.Series,
    *,
    block: timedelta,
    level: float = 0.025,
) -> tuple[SliceLoss, ...]:
    """Measure the loss of each slice against that of the other rows.

    Parameters
    ----------
    slices : sequence of Slice
        Masks over the rows; those with too few rows, or all of them, are left out.
    losses : ndarray of shape (n_rows,)
        Lower is better; rows without a finite loss are left out.
    times : Series of shape (n_rows,)
        Event times, in any order.
    block, level
        As for :func:`components.intervals.mean_interval`.

    Returns
    -------
    tuple of SliceLoss
        The most excessive first.

    """
    known = np.isfinite(losses)
    losses, times = losses[known], times[known]
    found = []
    for each in slices:
        rows = each.rows[known]
        if LEAST_ROWS <= rows.sum() < len(rows):
            loss = mean_interval(losses[rows], times[rows], block=block, level=level)
            excess = _excess(losses, rows, times, block, level)
            found.append(SliceLoss(each.name, int(rows.sum()), loss, excess, chance_above(excess)))
    chances = holm([one.chance for one in found])
    adjusted = [replace(one, chance=float(p)) for one, p in zip(found, chances, strict=True)]
    return tuple(sorted(adjusted, key=lambda one: -one.excess.mean))


def _excess(
    losses: np.ndarray, rows: np.ndarray, times: pd.Series, block: timedelta, level: float
) -> Interval:
    """Bound the difference of two means over rows of one time line.

    Both means move with their rows and with how many there are; to first order the difference
    is the mean of these values, one a row (its influence function).
    """
    inner, outer = losses[rows].mean(), losses[~rows].mean()
    share = rows.mean()
    influence = np.where(rows, (losses - inner) / share, (outer - losses) / (1 - share))
    return mean_interval(influence + (inner - outer), times, block=block, level=level)


@dataclass(frozen=True, slots=True)
class SliceChange:
    """How the loss of one slice changes from one model to another.

    Attributes
    ----------
    name : str
    rows : int
    before, after : float
        Mean loss a row of either model.
    chance : float
        Holm's p-value, over all slices, of "risen by no more than was allowed".

    """

    name: str
    rows: int
    before: float
    after: float
    chance: float


def measure_changes(
    slices: Sequence[Slice],
    before: np.ndarray,
    after: np.ndarray,
    times: pd.Series,
    *,
    allowed: float,
    block: timedelta,
) -> tuple[SliceChange, ...]:
    """Ask of each slice whether its loss rose by more than a fraction `allowed` of before.

    Parameters
    ----------
    slices : sequence of Slice
        Those with too few rows are left out.
    before, after : ndarray of shape (n_rows,)
        Losses of the same rows, by either model; rows without both are left out.
    times : Series of shape (n_rows,)
    allowed : float
        0.1 allows the loss of a slice to rise by a tenth.
    block : timedelta

    Returns
    -------
    tuple of SliceChange
        The surest loss first.

    """
    known = np.isfinite(before) & np.isfinite(after)
    found = []
    for each in slices:
        rows = each.rows & known
        if rows.sum() < LEAST_ROWS:
            continue
        was, now = before[rows], after[rows]
        beyond = mean_interval(now - (1 + allowed) * was, times[rows], block=block, level=0.05)
        change = (float(was.mean()), float(now.mean()), chance_above(beyond))
        found.append(SliceChange(each.name, int(rows.sum()), *change))
    chances = holm([one.chance for one in found])
    adjusted = [replace(one, chance=float(p)) for one, p in zip(found, chances, strict=True)]
    return tuple(sorted(adjusted, key=lambda one: (np.isnan(one.chance), one.chance)))


def find_slices(
    rows: pd.DataFrame,
    kinds: Mapping[str, str],
    losses: np.ndarray,
    times: pd.Series,
    *,
    block: timedelta,
    level: float = 0.025,
    seed: int = 0,
) -> tuple[SliceLoss, ...]:
    """Find parts of the rows where the loss is high, and measure them on other rows.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_columns)
        Holds the columns of `kinds`. Not modified.
    kinds : mapping of str to {"number", "category"}
        The columns that a slice may be described by.
    losses, times, block, level
        As for :func:`measure_slices`.
    seed : int
        Settles ties between columns that part the rows alike.

    Returns
    -------
    tuple of SliceLoss
        The most excessive first, measured on the later half of the rows; empty when there is
        nothing to part.

    """
    known = np.flatnonzero(np.isfinite(losses))
    order = known[np.argsort(pd.DatetimeIndex(times.iloc[known]).asi8, kind="stable")]
    half = len(order) // 2
    earlier, later = order[:half], order[half:]
    slices = grown_slices(
        rows.iloc[earlier],
        losses[earlier],
        rows.iloc[later],
        kinds=kinds,
        least_rows=LEAST_ROWS,
        seed=seed,
    )
    return measure_slices(slices, losses[later], times.iloc[later], block=block, level=level)
