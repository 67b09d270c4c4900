"""What a detector looks at: the rows by period, and what was normal before each of them.

A period is compared with the clean periods of the trailing reference only. Once a period is
found faulty in a column, that column of it teaches nothing, and while the fault may still stand
the periods after it are compared with the reference of the first one. What nobody knows of ends
so after a whole reference: nothing is judged then, and a change which stayed is the new normal.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from components.pipelines import Pipeline
from monitoring.diagnosis.observed import Column, Observed, micro

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]
    Mask = NDArray[np.bool_]

    from monitoring.diagnosis.clocks import Clock
    from monitoring.diagnosis.frozen import Runs
    from monitoring.diagnosis.silences import Silences
    from monitoring.diagnosis.units import Measure

HOUR = 3_600_000_000
DAY = 24 * HOUR
BEGUN = 1 / 12
"""A period with a smaller share of the usual rows has only begun."""

LEAST_PERIODS = 7
"""Clean periods that a reference needs before it judges anything."""

_ROWS_OF_A_PERIOD = 20
_DAYS_OF_A_PERIOD = (1, 2, 4, 7, 14, 28)
BACK = 3
"""So many periods without it, and a fault stands no longer: the feed is back."""
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
LOW, MIDDLE, HIGH = 0, 2, 4


@dataclass(frozen=True, slots=True)
class Found:
    """A fault as one detector sees it in one period.

    Attributes
    ----------
    fault, column, evidence : str
    rows : ndarray of int64
        Positions of the rows that it spoils, ascending; may be empty for a gap.
    stretch : tuple of int, optional
        Since and until in microseconds, where the rows do not say it.
    whole : bool
        Whether it spoils the rows in all columns.
    ids : tuple of str
        The records it concerns, where they are known by id alone.
    also : tuple of str
        Other columns that the same cause spoils in these rows.
    solid : bool
        Whether every value of the column between the first and the last of the rows is spoiled,
        those too that look normal.

    """

    fault: str
    column: str
    evidence: str
    rows: "Whole"
    stretch: tuple[int, int] | None = None
    whole: bool = False
    ids: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    solid: bool = False


@dataclass(slots=True)
class Look:
    """All rows by period, and which periods are clean so far.

    Attributes
    ----------
    start : ndarray of int64, shape (n_periods,)
        Where each period that holds rows begins, in microseconds.
    bounds : ndarray of int64, shape (n_periods + 1,)
        The rows of period `p` are `bounds[p]` to `bounds[p + 1]`.
    nulls, quantiles : ndarray, shape (n_periods, n_columns) and (n_periods, n_columns, 5)
        Share of missing values; quantiles of a number, NaN for a category.
    novel : ndarray of float64, shape (n_periods, n_columns)
        Share of the values that the clean reference did not hold; filled as periods are judged.
    faulty : ndarray of bool, shape (n_periods, n_columns)
    normal : ndarray of bool, shape (n_periods, n_columns)
        Faulty once, and accepted by a person: it teaches nothing, and does not stand.
    begun : ndarray of int64, shape (n_periods, n_columns)
        The period in which the fault began that may still stand; the period itself where none is.
    held : ndarray of bool, shape (n_periods, n_columns)
        Whether that fault is known to be open, so that it stands however old it is.
    taken : int
        By when everything that the source held was taken in, in microseconds.
    silences : Silences, optional
        What looks before this one knew of how late rows and labels arrive.
    last_seen : list of ndarray of int64
        For each distinct value of a column the last clean period that held it.

    """

    pipeline: Pipeline
    rows: Observed
    as_of: int
    taken: int
    width: int
    reach: int
    start: "Whole"
    bounds: "Whole"
    names: list[str]  # the features, then the target
    columns: list[Column]
    nulls: "Floats"
    quantiles: "Floats"
    novel: "Floats"
    faulty: "Mask"
    normal: "Mask"
    begun: "Whole"
    held: "Mask"
    last_seen: "list[Whole]"
    first: "Whole"
    shares: "dict[int, Floats]" = field(default_factory=dict)
    apart: "dict[int, Floats]" = field(default_factory=dict)  # numbers less their period's mean
    measures: "dict[int, Measure]" = field(default_factory=dict)  # of the period in hand
    longest: "Whole" = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    relation: "Floats" = field(default_factory=lambda: np.zeros(0))
    unasked: range = range(0)  # periods whose relation is worked out when it is first asked for
    runs: "list[Runs]" = field(default_factory=list)
    clocks: "list[Clock]" = field(default_factory=list)
    weekdays: list[int] = field(default_factory=list)
    weekday: "Whole" = field(default_factory=lambda: np.zeros(0, np.int64))
    content: "NDArray[np.uint64]" = field(default_factory=lambda: np.zeros(0, np.uint64))
    repeated: "Floats" = field(default_factory=lambda: np.zeros(0))
    second: "Mask" = field(default_factory=lambda: np.zeros(0, bool))
    doubled: "Floats" = field(default_factory=lambda: np.zeros(0))
    silences: "Silences | None" = None

    @property
    def target(self) -> int:
        """Position of the label among the columns: the last."""
        return len(self.columns) - 1

    @property
    def features(self) -> range:
        """Positions of the features."""
        return range(self.target)

    def span(self, period: int) -> slice:
        """Take the rows of a period."""
        return slice(int(self.bounds[period]), int(self.bounds[period + 1]))

    def clean(self, period: int, column: int | None = None) -> "Whole":
        """List the clean periods before one: in a column, or in half of the features."""
        end = self.before(period, column)
        low = int(self.first[end])
        bad = self.faulty[low:end]
        if column is not None:
            spoiled = bad[:, column]
        else:
            spoiled = 2 * np.count_nonzero(bad[:, :-1], axis=1) > self.target
        return low + np.flatnonzero(~spoiled)

    def has_only_begun(self, period: int) -> bool:
        """Say whether a period is the newest and holds few of the rows that a period has."""
        first = int(self.first[period])
        if period < len(self.start) - 1 or period - first < LEAST_PERIODS:
            return False
        held = np.diff(self.bounds)
        return bool(held[period] < BEGUN * np.median(held[first:period]))

    def before(self, period: int, column: int | None = None) -> int:
        """Say before which period the reference ends: that in which a fault began that stands.

        For all columns it is the fault of more than half of the features.
        """
        if column is not None:
            return int(self.begun[period, column])
        ordered = np.sort(self.begun[period, : self.target])
        return int(ordered[self.target // 2]) if self.target else period

    def stands(self, period: int, column: int) -> bool:
        """Say whether a fault of a column that began before a period may still stand in it."""
        return bool(self.begun[period, column] < period)

    def stand(self, period: int) -> None:
        """Find out which faults of the periods before may still stand in one."""
        low = int(np.searchsorted(self.start, self.start[period] - BACK * self.width))
        bad = self.faulty[low:period] & ~self.normal[low:period]
        self.begun[period] = period
        if not bad.any():
            return
        last = period - 1 - bad[::-1].argmax(axis=0)
        each = np.arange(bad.shape[1])
        begun, held = self.begun[last, each], self.held[last, each]
        young = self.start[period] - self.start[begun] <= self.reach
        stands = bad.any(axis=0) & (held | young)
        self.begun[period] = np.where(stands, begun, period)
        self.held[period] |= stands & held

    def teaches(self, period: int) -> "tuple[int, Mask]":
        """Mark which column of which period before one belongs to its clean reference.

        Returns
        -------
        int, ndarray of bool, shape (n, n_columns)
            The first period of the mask; the last is the one before `period`.

        """
        begun = self.begun[period]
        first = self.first[begun]
        low = int(first.min(initial=period))
        at = np.arange(low, period)[:, None]
        return low, (at >= first) & (at < begun) & ~self.faulty[low:period]

    def rows_of(self, periods: "Whole") -> "Whole":
        """List the rows of some periods, ascending."""
        if not len(periods):
            return np.zeros(0, np.int64)
        if periods[-1] - periods[0] + 1 == len(periods):
            return np.arange(self.bounds[periods[0]], self.bounds[periods[-1] + 1])
        parts = [np.arange(self.bounds[p], self.bounds[p + 1]) for p in periods]
        return np.concatenate(parts)

    def share(self, marked: "Mask") -> "Floats":
        """Give the share of marked rows in each period."""
        if not len(marked):
            return np.zeros(len(self.start))
        return np.add.reduceat(marked, self.bounds[:-1]) / np.diff(self.bounds)

    def usual(self, period: int) -> "Floats":
        """Give median quantiles of the clean reference, and how far they move from day to day.

        Returns
        -------
        ndarray of shape (2, n_columns, 5)
            NaN in a column with too few clean periods.

        """
        low, taught = self.teaches(period)
        past = np.where(taught[:, :, None], self.quantiles[low:period], np.nan)
        middle = middle_of(past)
        return np.stack([middle, 1.4826 * middle_of(np.abs(past - middle))])


def middle_of(past: "Floats") -> "Floats":
    """Take the median over the first axis, blind to NaN; NaN where fewer than needed are given."""
    given = (~np.isnan(past)).sum(axis=0)
    if not len(past):
        return np.full(past.shape[1:], np.nan)
    ordered = np.sort(past, axis=0)
    at = np.maximum(given - 1, 0)
    low = np.take_along_axis(ordered, (at // 2)[None], axis=0)[0]
    high = np.take_along_axis(ordered, ((at + 1) // 2)[None], axis=0)[0]
    return np.where(given >= LEAST_PERIODS, (low + high) / 2, np.nan)


def look_at(
    rows: Observed,
    pipeline: Pipeline,
    as_of: pd.Timestamp,
    *,
    taken: pd.Timestamp | None = None,
    silences: "Silences | None" = None,
) -> Look:
    """Cut rows into periods, and profile each column of each period."""
    width = _width(rows, pipeline)
    number = rows.time // width
    starts, offsets = np.unique(number, return_index=True)
    bounds = np.append(offsets, len(number)).astype(np.int64)
    reach = max(int(pd.Timedelta(pipeline.diagnosis.reference) / pd.Timedelta(1, "us")), width)
    columns = [*rows.columns.values(), _label_column(rows, pipeline)]
    shape = (len(starts), len(columns))
    look = Look(
        pipeline=pipeline,
        rows=rows,
        as_of=micro(as_of),
        taken=micro(as_of if taken is None else min(taken, as_of)),
        width=width,
        reach=reach,
        start=starts * width,
        bounds=bounds,
        names=[*rows.columns, pipeline.target],
        columns=columns,
        nulls=np.zeros(shape),
        quantiles=np.full((*shape, len(LEVELS)), np.nan),
        novel=np.full(shape, np.nan),
        faulty=np.zeros(shape, dtype=bool),
        normal=np.zeros(shape, dtype=bool),
        begun=np.repeat(np.arange(len(starts))[:, None], len(columns), axis=1),
        held=np.zeros(shape, dtype=bool),
        last_seen=[np.full(len(column.distinct), -1, np.int64) for column in columns],
        first=np.searchsorted(starts * width, starts * width - reach, side="left"),
        silences=silences,
    )
    _profile(look)
    return look


def _label_column(rows: Observed, pipeline: Pipeline) -> Column:
    """Take the label as one more column: it too can freeze, or come in another unit."""
    codes, distinct = pd.factorize(rows.label)
    numbers = rows.label if pipeline.task == "regression" else None
    return Column(codes.astype(np.int64), np.asarray(distinct), numbers)


def _width(rows: Observed, pipeline: Pipeline) -> int:
    """Choose the period: as stated, else so many days that half of the periods hold enough rows."""
    if pipeline.diagnosis.period is not None:
        return max(int(pd.Timedelta(pipeline.diagnosis.period) / pd.Timedelta(1, "us")), 1)
    for days in _DAYS_OF_A_PERIOD:
        _, counts = np.unique(rows.time // (days * DAY), return_counts=True)
        if len(counts) and np.median(counts) >= _ROWS_OF_A_PERIOD:
            return days * DAY
    return DAY


def _profile(look: Look) -> None:
    count = np.maximum(np.diff(look.bounds), 1)
    if not len(look.start):
        return
    for position, column in enumerate(look.columns):
        missing = np.add.reduceat(column.missing, look.bounds[:-1])
        look.nulls[:, position] = missing / count
    numeric = [at for at, column in enumerate(look.columns) if column.numbers is not None]
    if not numeric:
        return
    table = np.stack([np.asarray(look.columns[at].numbers) for at in numeric])
    for low, high in pairwise(look.bounds):
        table[:, low:high].sort(axis=1)  # NaN last
    given = count[:, None] - np.rint(look.nulls[:, numeric] * count[:, None]).astype(np.int64)
    for level, share in enumerate(LEVELS):
        at = look.bounds[:-1, None] + np.floor(share * np.maximum(given - 1, 0)).astype(np.int64)
        taken = table[np.arange(len(numeric)), at]
        look.quantiles[:, numeric, level] = np.where(given > 0, taken, np.nan)
