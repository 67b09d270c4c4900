"""How many live rows lie where training rows lie; elsewhere a model answers by guess.

Two questions: is each value one that was trained on (within the range of a number, a known
category), and is the row as a whole near training rows? The second is asked by the distance to
the nearest training row, numbers in units of their spread and a different category counting as
one such unit squared; further than 99 % of other training rows are from these is far.

References
----------
Knorr, Ng, Tucakov. Distance-based outliers: algorithms and applications. The VLDB Journal 8
(2000).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

MOST_TRAINING_ROWS = 4_000
"""So many are kept: half to be near to, half to learn how near is usual."""

FAR = 0.99
_MOST_VALUES = 100


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many rows lie within what training rows cover; shares of `rows`, None without any.

    Attributes
    ----------
    rows : int
    covered : float or None
        In every column, and as a whole.
    near : float or None
        As a whole: no further from training rows than 99 % of these are from each other.
    columns : dict of str to float
        Share of rows whose value of a column is covered. A missing value is covered where
        training rows missed it as well.

    """

    rows: int
    covered: float | None
    near: float | None
    columns: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Covered:
    """What training rows cover; made by :func:`learn_covered`.

    Attributes
    ----------
    ranges : dict of str to (float, float)
        Least and greatest value of each number.
    known : dict of str to frozenset of str
        The values of each category.
    missing : frozenset of str
        Columns that training rows missed as well.
    centre, spread : dict of str to float
        Mean and standard deviation of each number.
    near : ndarray of shape (n_kept, n_dimensions)
        Training rows as points.
    far : float
        The distance beyond which a row is far; infinite where there are too few rows to tell.

    """

    ranges: dict[str, tuple[float, float]]
    known: dict[str, frozenset[str]]
    missing: frozenset[str]
    centre: dict[str, float]
    spread: dict[str, float]
    near: np.ndarray
    far: float

    def measure(self, rows: pd.DataFrame) -> Coverage:
        """Measure rows that hold the columns learnt from."""
        within = self.within(rows)
        if rows.empty:
            return Coverage(0, None, None, {})
        near = self.is_near(rows)
        return Coverage(
            len(rows),
            float((within.all(axis=1).to_numpy(dtype=bool) & near).mean()),
            float(near.mean()),
            {str(name): float(within[name].mean()) for name in within},
        )

    def within(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Mark each value that training rows cover; of shape (n_rows, n_columns)."""
        marks = {}
        for name, (low, high) in self.ranges.items():
            values = _numbers(rows[name])
            marks[name] = (low <= values) & (values <= high)
        for name, known in self.known.items():
            marks[name] = rows[name].astype(str).isin(known).to_numpy(dtype=bool)
        for name, mark in marks.items():
            absent = rows[name].isna().to_numpy(dtype=bool)
            marks[name] = np.where(absent, name in self.missing, mark)
        return pd.DataFrame(marks, index=rows.index)

    def is_near(self, rows: pd.DataFrame) -> np.ndarray:
        """Mark the rows that lie near training rows."""
        if not len(rows) or not np.isfinite(self.far):
            return np.ones(len(rows), dtype=bool)
        return np.asarray(_distances(self.near, self._points(rows)) <= self.far)

    def _points(self, rows: pd.DataFrame) -> np.ndarray:
        return _points(rows, self.known, self.centre, self.spread)


def learn_covered(train: pd.DataFrame, kinds: Mapping[str, str], *, seed: int) -> Covered:
    """Learn what training rows cover.

    Parameters
    ----------
    train : DataFrame of shape (n_rows, n_columns)
        Holds the columns of `kinds`. Not modified.
    kinds : mapping of str to {"number", "category"}
    seed : int
        Which training rows are kept, where there are many.

    """
    numbers = {name: _finite(train[name]) for name, kind in kinds.items() if kind == "number"}
    ranges = {
        name: (float(values.min()), float(values.max())) if len(values) else (np.inf, -np.inf)
        for name, values in numbers.items()
    }
    known = {
        name: frozenset(train[name].dropna().astype(str))
        for name, kind in kinds.items()
        if kind == "category"
    }
    centre = {name: float(x.mean()) if len(x) else 0.0 for name, x in numbers.items()}
    spread = {name: float(x.std() or 1.0) if len(x) else 1.0 for name, x in numbers.items()}
    order = np.random.default_rng(seed).permutation(len(train))[:MOST_TRAINING_ROWS]
    points = _points(train.iloc[order], known, centre, spread)
    near, others = points[::2], points[1::2]
    enough = len(others) >= round(1 / (1 - FAR))
    far = float(np.quantile(_distances(near, others), FAR)) if enough else np.inf
    missing = frozenset(name for name in kinds if train[name].isna().any())
    return Covered(ranges, known, missing, centre, spread, near, far)


def _points(
    rows: pd.DataFrame,
    known: Mapping[str, frozenset[str]],
    centre: Mapping[str, float],
    spread: Mapping[str, float],
) -> np.ndarray:
    """Write rows as points; a missing number lies in the middle."""
    columns: list[Any] = []
    for name, middle in centre.items():
        values = _numbers(rows[name])
        columns.append(np.where(np.isfinite(values), (values - middle) / spread[name], 0.0))
    for name, values_known in known.items():
        given = rows[name].astype(str).to_numpy(dtype=object)
        if len(values_known) <= _MOST_VALUES:  # more would be all distance and no meaning
            # Two different values are then one apart, squared.
            columns += [(given == value) / np.sqrt(2) for value in sorted(values_known)]
    return np.column_stack(columns) if columns else np.zeros((len(rows), 1))


def _distances(near: np.ndarray, points: np.ndarray) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    found, _ = NearestNeighbors(n_neighbors=1).fit(near).kneighbors(points)
    return np.asarray(found[:, 0])


def _numbers(values: pd.Series) -> np.ndarray:
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))


def _finite(values: pd.Series) -> np.ndarray:
    numbers = _numbers(values)
    return np.asarray(numbers[np.isfinite(numbers)])
