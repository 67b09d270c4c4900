"""What is made of the values that a row sees: the newest, how many, their mean, their trend."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import numpy as np
import pandas as pd

from components.history.adding import Sums
from components.history.exact import Limbs
from components.history.timeline import Range, Timeline

_DAY = 86_400_000_000
_UNITS = (
    (timedelta(days=24), 1_000_000),
    (timedelta(days=4 * 365), 60_000_000),
)
"""A trend takes times to the second, over up to 24 days; to the minute, up to four years."""
_LONGEST_UNIT = 3_600_000_000


class Maker(Protocol):
    """Makes one feature of what rows see."""

    def make(self, asked: Range, events: np.ndarray) -> np.ndarray:
        """Make the values of rows; events in microseconds."""
        ...

    @property
    def missing(self) -> float | None:
        """What a row gets that sees nothing at all."""
        ...


@dataclass(frozen=True, slots=True)
class Newest:
    """The value of the newest event; of several events at once, the one known last."""

    timeline: Timeline
    values: np.ndarray

    @property
    def missing(self) -> float | None:
        """No number, or no category."""
        return np.nan if self.values.dtype.kind == "f" else None

    def make(self, asked: Range, events: np.ndarray) -> np.ndarray:
        """See :class:`Maker`."""
        del events
        place = self.timeline.newest(asked)
        return np.asarray(np.where(place >= 0, self.values[place], self.missing))


class Count:
    """How many values there were; 0 where there were none."""

    missing = 0.0

    def __init__(self, timeline: Timeline, distances: Sequence[int]) -> None:
        ones = np.ones((1, len(timeline.known)), dtype=np.int64)
        self._sums = Sums(timeline, ones, distances)

    def make(self, asked: Range, events: np.ndarray) -> np.ndarray:
        """See :class:`Maker`."""
        del events
        totals = self._sums.of(asked)
        return np.asarray(totals[0], dtype=np.float64)


class Mean:
    """The mean, the same to the last digit whatever else is in the timeline."""

    missing = np.nan

    def __init__(self, timeline: Timeline, values: np.ndarray, distances: Sequence[int]) -> None:
        self._split = Limbs.of(values)
        ones = np.ones((1, len(values)), dtype=np.int64)
        self._sums = Sums(timeline, np.concatenate([ones, self._split.limbs]), distances)

    def make(self, asked: Range, events: np.ndarray) -> np.ndarray:
        """See :class:`Maker`."""
        del events
        totals = self._sums.of(asked)
        total = self._split.joined(totals[1:])
        return np.asarray(np.where(totals[0] > 0, total / np.maximum(totals[0], 1), np.nan))


class Trend:
    """The slope per day of a line through the values, by least squares.

    NaN where it has none: fewer than two values, or all at the same time. Sums of squares
    of times do not fit 63 bits, and need not: they wrap, and what is left once the times
    are counted from their own mean fits again.
    """

    missing = np.nan

    def __init__(
        self,
        timeline: Timeline,
        values: np.ndarray,
        distances: Sequence[int],
        over: timedelta | None,
    ) -> None:
        self._unit = _unit_of(over)
        self._split = Limbs.of(values)
        time = timeline.event // self._unit
        rows = [np.ones_like(time), time, time * time, *self._split.limbs]
        moments = self._split.limbs * time
        self._sums = Sums(timeline, np.concatenate([np.array(rows), moments]), distances)

    def make(self, asked: Range, events: np.ndarray) -> np.ndarray:
        """See :class:`Maker`."""
        totals = self._sums.of(asked)
        number, time, square = totals[:3]
        limbs, moments = np.split(totals[3:], 2)
        count = np.maximum(number, 1).astype(np.float64)
        near = events // self._unit
        middle = near + np.rint((time - number * near) / count).astype(np.int64)
        first = (time - number * middle).astype(np.float64)
        second = (square - 2 * middle * time + number * middle * middle).astype(np.float64)
        total, moment = self._split.joined(limbs), self._split.joined(moments - limbs * middle)
        spread = second - first * first / count
        spreads = (number > 1) & (spread > 0)
        slope = (moment - total * first / count) / np.where(spreads, spread, 1.0)
        return np.asarray(np.where(spreads, slope * (_DAY / self._unit), np.nan))


def _unit_of(over: timedelta | None) -> int:
    for most, unit in _UNITS:
        if over is not None and over <= most:
            return unit
    return _LONGEST_UNIT


def as_column(values: np.ndarray, index: pd.Index) -> pd.Series:
    """Make a column of values: float64, or text with missing values."""
    return pd.Series(values, index=index, dtype="float64" if values.dtype.kind == "f" else "str")
