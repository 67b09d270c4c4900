"""Judge period after period, each against the clean ones before it."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from monitoring.diagnosis.arrivals import (
    find_absent,
    find_bursts,
    find_busy_entity,
    find_types,
    find_unreadable_times,
    unreadable_lines,
)
from monitoring.diagnosis.clocks import (
    clocks_of,
    find_calendar_codes,
    find_jumps,
    local_weekday,
    weekdays_of,
)
from monitoring.diagnosis.codes import find_codes
from monitoring.diagnosis.copies import content_of, find_copies, repeated_rows, second_rows
from monitoring.diagnosis.frozen import find_frozen, longest_runs, runs_of
from monitoring.diagnosis.look import HIGH, LEAST_PERIODS, LOW, MIDDLE, Found, Look
from monitoring.diagnosis.missing import find_gaps, find_nulls
from monitoring.diagnosis.permuted import find_permuted
from monitoring.diagnosis.truths import agreements, find_labels
from monitoring.diagnosis.units import find_units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]
    Mask = NDArray[np.bool_]

_FAR = 5.0
_EXTREME = 25.0
_NEWER = 0.3


def judge(look: Look, lines: pd.DataFrame, judged: range) -> list[tuple[int, Found]]:
    """Judge periods in order, and remember which were clean.

    Parameters
    ----------
    look : Look
        Its marks of what is faulty and seen are filled.
    lines : DataFrame
        From :func:`monitoring.diagnosis.arrivals.known_lines`.
    judged : range
        The periods to judge; earlier ones are taken as clean.

    Returns
    -------
    list of (int, Found)
        The period of each fault; -1 where it is told by the quarantine.

    """
    _prepare(look)
    told: list[Found] = []
    if len(lines):
        told += [*find_absent(look, lines), *find_bursts(look, lines)]
        told += find_unreadable_times(look, lines)
    kept = [(-1, one) for one in told if _wanted(look, one)]
    for _, one in kept:
        if one.fault.startswith("column_"):
            _mark(look, one)
    unreadable = unreadable_lines(look, lines) if len(lines) else lines
    for period in range(len(look.start)):
        _take_in(look, period)
        if period in judged:
            kept += [(period, one) for one in _judge_one(look, period, unreadable)]
        agreements(look, period)
        if _doubtful(look, period):
            look.relation[period] = np.nan
        if period in judged:
            kept += [(period, one) for one in _accepted(look, period, find_labels(look, period))]
        _remember(look, period)
    gaps = [one for one in find_gaps(look, judged) if _wanted(look, one)]
    return [*kept, *((-1, one) for one in gaps if not _beside_jump(look, one, kept))]


def _prepare(look: Look) -> None:
    look.runs = runs_of(look)
    look.longest = longest_runs(look)
    look.relation = np.full(len(look.start), np.nan)
    look.clocks = clocks_of(look)
    look.weekdays = weekdays_of(look)
    look.weekday = local_weekday(look)
    look.content = content_of(look)
    look.repeated = look.share(repeated_rows(look, look.content))
    look.second = second_rows(look)
    look.doubled = look.share(look.second)


def _judge_one(look: Look, period: int, unreadable: pd.DataFrame) -> list[Found]:
    """Ask the detectors in turn: the first one that explains a column, or all of them, stands."""
    look.measures.clear()
    suspects = _suspects(look, period, unreadable)
    kept = _accepted(look, period, find_permuted(look, period, suspects))
    for detector in (find_copies, find_jumps, find_calendar_codes, find_frozen, find_busy_entity):
        if not _all_spoiled(look, period):
            kept += _accepted(look, period, detector(look, period))
    if _all_spoiled(look, period):
        return kept
    kept += _accepted(look, period, find_types(look, period, unreadable))
    kept += _accepted(look, period, find_codes(look, period))
    kept += _accepted(look, period, find_units(look, period, suspects))
    return kept + _accepted(look, period, find_nulls(look, period))


def _accepted(look: Look, period: int, found: list[Found]) -> list[Found]:
    """Keep what is not ignored and what no other fault of the period explains already."""
    kept = []
    for one in found:
        if not _wanted(look, one):
            continue
        named = look.names.index(one.column) if one.column in look.names else None
        if named is not None and look.faulty[period, named] and not one.whole:
            continue
        if look.target == named and one.fault != "labels_broken":
            told = Found("labels_broken", one.column, f"{one.fault}: {one.evidence}", one.rows)
        else:
            told = one
        if _wanted(look, told):
            _mark(look, told)
            kept.append(told)
    return kept


def _wanted(look: Look, one: Found) -> bool:
    ignored = look.pipeline.diagnosis.ignore
    return one.fault not in ignored and f"{one.fault}:{one.column}" not in ignored


def _mark(look: Look, one: Found) -> None:
    """Mark the periods that a fault spoils, so that they teach nothing."""
    if not len(one.rows):
        return
    periods = np.unique(np.searchsorted(look.bounds, one.rows, side="right") - 1)
    if one.whole:
        look.faulty[periods, : look.target] = True
    elif one.column in look.names:
        look.faulty[periods, look.names.index(one.column)] = True


def _all_spoiled(look: Look, period: int) -> bool:
    return bool(look.target and look.faulty[period, : look.target].all())


def _suspects(look: Look, period: int, unreadable: pd.DataFrame) -> "Whole":
    """List the columns whose day lies far from the usual days, or holds values never seen."""
    middle, spread = look.usual(period)
    day = look.quantiles[period]
    inner = middle[:, HIGH] - middle[:, LOW]
    far = np.abs(day - middle) / np.maximum(spread, np.maximum(0.1 * inner, 1e-12)[:, None])
    ordered = np.sort(far, axis=1)
    with np.errstate(invalid="ignore"):
        away = (
            (ordered[:, MIDDLE] > _FAR)
            | (ordered[:, MIDDLE - 1] > _FAR)
            | (far[:, HIGH] > _EXTREME)
        )
        away |= (far[:, LOW] > _EXTREME) | (day[:, HIGH] - day[:, LOW] < 0.25 * inner)
        away |= look.novel[period] > _usual_novelty(look, period) + _NEWER
    if len(unreadable):
        here = unreadable.loc[unreadable["period"] == period, "column"]
        away |= np.isin(np.array(look.names, dtype=object), list(here))
    return np.flatnonzero(away & ~look.faulty[period])


def _usual_novelty(look: Look, period: int) -> "NDArray[np.float64]":
    """Give the highest share but one of values never seen, over the clean reference."""
    low = int(look.first[period])
    past = np.where(look.faulty[low:period], np.nan, look.novel[low:period])
    if len(past) < LEAST_PERIODS:
        return np.full(past.shape[1], np.nan)
    past = np.sort(np.nan_to_num(past, nan=-1.0), axis=0)
    return np.asarray(np.maximum(past[-2], 0.0))


def _take_in(look: Look, period: int) -> None:
    """Count how much of a period the clean reference never held."""
    span, low = look.span(period), look.first[period]
    for position, column in enumerate(look.columns):
        codes = column.codes[span]
        given = codes[codes >= 0]
        if len(given):
            look.novel[period, position] = np.mean(look.last_seen[position][given] < low)


def _remember(look: Look, period: int) -> None:
    """Take what a clean period held into what has been seen."""
    span = look.span(period)
    for position, column in enumerate(look.columns):
        if not look.faulty[period, position]:
            codes = column.codes[span]
            look.last_seen[position][codes[codes >= 0]] = period


def _doubtful(look: Look, period: int) -> bool:
    """Say whether the features of a period are too faulty to hold the labels against."""
    spoiled = look.faulty[period]
    return bool(spoiled[look.target] or (look.target and spoiled[:-1].mean() > 1 / 4))


def _beside_jump(look: Look, gap: Found, kept: list[tuple[int, Found]]) -> bool:
    """Say whether a gap is only what a jump of the clock, or a copied day, left behind."""
    if gap.stretch is None:
        return False
    low, high = gap.stretch[0] - look.width, gap.stretch[1] + look.width
    for _, one in kept:
        if one.fault == "clock_jump" and len(one.rows):
            times = look.rows.time[one.rows]
            if times[0] <= high and times[-1] >= low:
                return True
    return False
