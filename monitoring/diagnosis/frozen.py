"""`frozen`: a value that repeats itself far longer than it ever did.

Runs are judged against the longest ones of the same column in the clean reference, so that a
flag that stays for weeks and a temperature that stays for a night each have their own measure.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitoring.diagnosis.look import DAY, HIGH, HOUR, LEAST_PERIODS, LOW, Found, Look
from monitoring.diagnosis.words import number_in_words, stretch_in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]

_LEAST_ROWS = 12
_LEAST_TIME = 10 * HOUR
_LEAST_RUNS = 30
"""Runs that the reference must hold before their lengths say anything."""
_MANY_RUNS = 100
_MANY_DAYS = 35 * DAY
_MOST_DISTINCT = 3
_FEW_DISTINCT = 12
_BY_CHANCE = np.log(1e-6)
_OFTEN = 3
_WHOLE_FEED = 0.6
_NEARLY_A_DAY = 20 * HOUR


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of one value in one column, in the order of their first row.

    Attributes
    ----------
    first, length : ndarray of int64, shape (n_runs,)
        Positions in `order`.
    begun, lasted : ndarray of int64
        In microseconds.
    code : ndarray of int64
    order : ndarray of int64, shape (n_rows,)
        Rows by entity, then time.

    """

    first: "Whole"
    length: "Whole"
    begun: "Whole"
    lasted: "Whole"
    code: "Whole"
    order: "Whole"


def runs_of(look: Look) -> list[Runs]:
    """Find the runs of equal values of each entity in each column.

    A missing value ends a run; a missing label is passed over.
    """
    order = np.lexsort((look.rows.time, look.rows.entity))
    time, whose = look.rows.time[order], look.rows.entity[order]
    found = []
    for position, column in enumerate(look.columns):
        if position == look.target:  # a label that is not there yet says nothing of the others
            order = order[column.codes[order] >= 0]
            time, whose = look.rows.time[order], look.rows.entity[order]
        other = whose[1:] != whose[:-1]
        seen = column.codes[order]
        breaks = (seen[1:] != seen[:-1]) | other | (seen[1:] < 0)
        first = np.concatenate(([0], 1 + np.flatnonzero(breaks))) if len(seen) else order
        length = np.diff(np.append(first, len(seen)))
        begun = time[first]
        lasted = time[first + length - 1] - begun
        by_time = np.argsort(begun, kind="stable")
        taken = (first[by_time], length[by_time], begun[by_time], lasted[by_time])
        found.append(Runs(*taken, seen[first][by_time], order))
    return found


def longest_runs(look: Look) -> "Whole":
    """Give the longest run that touches each period, shape (n_periods, n_columns)."""
    table = np.zeros((len(look.start), len(look.columns)), np.int64)
    for position, runs in enumerate(look.runs):
        given = runs.code >= 0
        length, begun = runs.length[given], runs.begun[given]
        first = np.searchsorted(look.start, begun, side="right") - 1
        last = np.searchsorted(look.start, begun + runs.lasted[given], side="right") - 1
        np.maximum.at(table[:, position], first, length)
        for run in np.flatnonzero(last > first):
            over = slice(first[run] + 1, last[run] + 1)
            table[over, position] = np.maximum(table[over, position], length[run])
    return table


def find_frozen(look: Look, period: int) -> list[Found]:
    """Find the columns whose value froze in a run that ends in, or runs through, a period."""
    if not len(look.rows.time):
        return []
    seen = [_in_column(look, period, column) for column in _candidates(look, period)]
    found = [one for one in seen if one is not None]
    stuck = [one for one in found if one.column != look.pipeline.target]
    if len(stuck) < max(2, _WHOLE_FEED * _lively(look, period)):
        return found
    rows = stuck[0].rows
    for one in stuck[1:]:
        rows = np.union1d(rows, one.rows)
    names = ", ".join(one.column for one in stuck)
    evidence = f"the whole feed repeats itself ({names}): {stuck[0].evidence}"
    feed = Found("frozen", look.pipeline.time, evidence, rows, whole=True)
    return [feed, *(one for one in found if one.column == look.pipeline.target)]


def _lively(look: Look, period: int) -> int:
    """Count the features that changed within most of the days before."""
    past = look.clean(period)
    moved = look.quantiles[past, :-1, HIGH] > look.quantiles[past, :-1, LOW]
    numbers = int((moved.mean(axis=0) > 1 / 2).sum()) if len(past) else 0
    return numbers + sum(column.numbers is None for column in look.columns[:-1])


def _candidates(look: Look, period: int) -> list[int]:
    """Name the columns with a run longer than those of the periods before it touched."""
    low, taught = look.teaches(period)
    longest = look.longest[period]
    if longest.max(initial=0) < _LEAST_ROWS or period - low < LEAST_PERIODS:
        return []
    before = np.where(taught, look.longest[low:period], 0)
    # A run that began before this period touches one before it too.
    usual = np.sort(before, axis=0)[len(before) // 2]
    long = np.flatnonzero((longest >= _LEAST_ROWS) & (longest > usual))
    # Codes of the weekday have a measure of their own.
    return [int(at) for at in long if at not in look.weekdays]


def _in_column(look: Look, period: int, position: int) -> Found | None:
    runs = look.runs[position]
    low, high = look.start[period], look.start[period] + look.width
    since = look.start[look.before(period, position)] - look.reach
    begin, end = np.searchsorted(runs.begun, [since, high])
    near = slice(begin, end)
    ends = runs.begun[near] + runs.lasted[near]
    here = begin + np.flatnonzero((ends >= low) & (runs.code[near] >= 0))
    if not len(here):
        return None
    run = int(here[np.argmax(runs.length[here])])
    length, lasted = int(runs.length[run]), int(runs.lasted[run])
    if length < _LEAST_ROWS or lasted < _LEAST_TIME:
        return None
    past = _reference(look, period, position, runs, run)
    if len(past) < _LEAST_RUNS:
        return None
    longest, longest_time = int(runs.length[past].max()), int(runs.lasted[past].max())
    numbers = look.columns[position].numbers is not None
    span = int(runs.begun[run] - runs.begun[past[0]])
    told = position == look.target and len(past) >= _MANY_RUNS and span >= _MANY_DAYS
    distinct = look.columns[position].distinct if numbers else None
    if not too_long(runs, run, past, distinct, alternates=told):
        return None
    rows = np.sort(runs.order[runs.first[run] : runs.first[run] + length])
    rows = rows[(rows >= look.bounds[period]) & (rows < look.bounds[period + 1])]
    tail = period > 0 and runs.begun[run] < low and _spoiled(look, period - 1)
    if not len(rows) or (tail and len(rows) < (look.bounds[period + 1] - look.bounds[period]) / 4):
        return None  # of a day whose rows are set aside whole, the last equal values stay
    value = look.columns[position].distinct[runs.code[run]]
    begun = int(runs.begun[run])
    evidence = (
        f"{number_in_words(value)} in {length} rows in a row from "
        f"{stretch_in_words(begun, begun + lasted)}; before, at most {longest} "
        f"equal values in a row, over {longest_time / HOUR:.1f} hours"
    )
    return Found("frozen", look.names[position], evidence, rows)


def _spoiled(look: Look, period: int) -> bool:
    return bool(look.target and look.faulty[period, :-1].all())


def _reference(look: Look, period: int, position: int, runs: Runs, run: int) -> "Whole":
    """List the runs that ended before this one began, in clean periods of the reference."""
    clean = look.clean(period, position)
    if not len(clean):
        return np.zeros(0, np.int64)
    begun = int(runs.begun[run])
    low = int(np.searchsorted(runs.begun, begun - look.reach))
    near = slice(low, run)
    ends = runs.begun[near] + runs.lasted[near]
    earlier = np.flatnonzero((ends < begun) & (runs.code[near] >= 0))
    where = np.searchsorted(look.start, ends[earlier], side="right") - 1
    earlier = low + earlier
    ok = ~look.faulty[np.clip(where, 0, len(look.start) - 1), position]
    return np.asarray(earlier[ok])


def _log(share: float) -> float:
    return float(np.log(share)) if share > 0 else -np.inf


def too_long(
    runs: Runs,
    run: int,
    past: "Whole",
    numbers: "NDArray[np.float64] | None",
    *,
    alternates: bool = False,
) -> bool:
    """Compare a run with the longest of the reference, in rows and in time.

    A number at the end of its range (100 % of humidity) may stay there for as long as it rains;
    one that lies outside of all that occurred has nothing that it could be compared with. A label
    that `alternates`, in many runs, does not stay by its nature as a flag does.
    """
    length, lasted = runs.length[run], runs.lasted[run]
    longest, longest_time = runs.length[past].max(), runs.lasted[past].max()
    weights = np.bincount(runs.code[past], weights=runs.length[past].astype(float))
    share = weights[runs.code[run]] / weights.sum() if runs.code[run] < len(weights) else 0.0
    distinct = np.count_nonzero(weights)
    few = distinct <= _MOST_DISTINCT
    # Where thousands of runs of a common value are looked at, some are long by chance.
    if distinct <= _FEW_DISTINCT and np.log(weights.sum()) + length * _log(share) > _BY_CHANCE:
        return False
    # A value that fills most rows (no rain, no holiday) stays for long by its nature.
    factor = (2.0 if alternates else 3.0) if few or share > 1 / 3 else 1.5
    if numbers is not None:
        before = numbers[runs.code[past]]
        value, low, high = numbers[runs.code[run]], before.min(), before.max()
        if not low <= value <= high:
            factor = 1.0
        elif value in (low, high) and np.count_nonzero(before == value) >= _OFTEN:
            factor = 3.0
    if lasted < _NEARLY_A_DAY:
        factor = max(factor, 5.0)
    return bool(length >= factor * longest + 3 and lasted >= factor * longest_time)
