"""Judge period after period, each against the clean ones before it."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from components.faults import Fault
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
from monitoring.diagnosis.missing import explained_nulls, find_gaps, find_nulls
from monitoring.diagnosis.observed import micro
from monitoring.diagnosis.permuted import find_permuted
from monitoring.diagnosis.truths import agreements, find_labels, is_doubtful
from monitoring.diagnosis.units import find_units

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]
    Mask = NDArray[np.bool_]

_OF_ROWS = ("duplicated", "clock_jump", "columns_shifted")
"""Faults that spoil their rows in all columns."""
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
    begin = judged.start if judged else len(look.start)
    # Of what is not judged, only the reference of what is counts.
    asked = _asked_from(look, begin) if judged else begin
    look.unasked = range(asked, begin)
    _remember_all(look, range(asked))
    for period in range(asked, len(look.start)):
        look.stand(period)
        _take_in(look, period)
        if period >= begin:
            here = _judge_one(look, period, unreadable)
            agreements(look, period, begins=period == begin)
            if is_doubtful(look, period):
                look.relation[period] = np.nan
            labels = _accepted(look, period, find_labels(look, period))
            kept += [(period, one) for one in _with_labels(look, here, labels)]
        _remember(look, period)
    gaps = [one for one in find_gaps(look, judged) if _wanted(look, one)]
    return [*kept, *((-1, one) for one in gaps if not _beside_jump(look, one, kept))]


def _asked_from(look: Look, begin: int) -> int:
    """Say where the reference begins of the first period to be judged."""
    for period in range(begin + 1):
        look.stand(period)
    return int(look.first[look.begun[begin].min()])


def mark_known(
    look: Look, known: Iterable[Fault], periods: range, accepted: Collection[Fault] = ()
) -> None:
    """Mark what earlier looks found in some periods: it teaches nothing, and is not judged.

    What nobody `accepted` stands until the feed is back, however long that takes.
    """
    rows = look.rows
    last = int(look.bounds[periods.stop])
    for fault in known:
        since, until = micro(fault.since), micro(fault.until)
        low, high = np.searchsorted(rows.time[:last], [since, until])
        inside = np.arange(low, high)
        if fault.is_partial:
            inside = inside[fault.names(rows.ids[low:high])]
        whole = fault.fault in _OF_ROWS or fault.column not in look.names
        told = Found(
            fault.fault, fault.column, fault.evidence, inside, whole=whole, also=fault.also
        )
        if _wanted(look, told) and fault.fault not in ("missing_period", "id_burst"):
            _mark(look, told)
            marked = look.normal if fault in accepted else look.held
            _mark(look, told, marked)


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
    return _with_nulls(look, period, kept)


def _with_nulls(look: Look, period: int, kept: list[Found]) -> list[Found]:
    """Add missing values: to the fault of the column that explains them, else as one of their own.

    What a column without a fault explains is none.
    """
    found = find_nulls(look, period)
    told = explained_nulls(look, period, found)
    for one, why in told:
        for place, fault in enumerate(kept):
            if fault.column == why:
                evidence = f"{fault.evidence}; {one.column} is missing with it"
                both = (*fault.also, one.column, *one.also)
                kept[place] = replace(fault, evidence=evidence, also=both)
                _mark(look, one)
    explained = [one for one, _ in told]
    return kept + _accepted(
        look, period, [one for one in found if not any(one is other for other in explained)]
    )


def _with_labels(look: Look, kept: list[Found], labels: list[Found]) -> list[Found]:
    """Add what is wrong with labels: to the fault of most of their rows where they did not come.

    On the day of a storm no aeroplane leaves, and none of them arrives.
    """
    for one in labels:
        lost = bool(np.isnan(look.rows.label[one.rows]).all())
        for place, fault in enumerate(kept if lost else ()):
            if len(np.intersect1d(fault.rows, one.rows)) >= len(one.rows) / 2:
                told = f"{fault.evidence}; {len(one.rows)} labels did not come"
                kept[place] = replace(fault, evidence=told)
                break
        else:
            kept = [*kept, one]
    return kept


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
            told = replace(one, fault="labels_broken", evidence=f"{one.fault}: {one.evidence}")
        else:
            told = one
        if _wanted(look, told):
            _mark(look, told)
            kept.append(told)
    return kept


def _wanted(look: Look, one: Found) -> bool:
    ignored = look.pipeline.diagnosis.ignore
    return one.fault not in ignored and f"{one.fault}:{one.column}" not in ignored


def _mark(look: Look, one: Found, marked: "Mask | None" = None) -> None:
    """Mark the periods that a fault spoils, so that they teach nothing."""
    if not len(one.rows):
        return
    marked = look.faulty if marked is None else marked
    periods = np.unique(np.searchsorted(look.bounds, one.rows, side="right") - 1)
    if one.whole:
        marked[periods, : look.target] = True
    for column in () if one.whole else (one.column, *one.also):
        if column in look.names:
            marked[periods, look.names.index(column)] = True


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
    low, taught = look.teaches(period)
    past = np.where(taught, look.novel[low:period], np.nan)
    if len(past) < LEAST_PERIODS:
        return np.full(past.shape[1], np.nan)
    past = np.sort(np.nan_to_num(past, nan=-1.0), axis=0)
    return np.asarray(np.maximum(past[-2], 0.0))


def _take_in(look: Look, period: int) -> None:
    """Count how much of a period the clean reference never held."""
    span, low = look.span(period), look.first[look.begun[period]]
    for position, column in enumerate(look.columns):
        codes = column.codes[span]
        given = codes[codes >= 0]
        if len(given):
            look.novel[period, position] = np.mean(look.last_seen[position][given] < low[position])


def _remember_all(look: Look, periods: range) -> None:
    """Take what the clean ones among some periods held into what has been seen."""
    last = look.bounds[periods.stop]
    which = np.repeat(np.arange(periods.stop), np.diff(look.bounds[: periods.stop + 1]))
    for position, column in enumerate(look.columns):
        codes = column.codes[:last]
        good = (codes >= 0) & ~look.faulty[which, position]
        np.maximum.at(look.last_seen[position], codes[good], which[good])


def _remember(look: Look, period: int) -> None:
    """Take what a clean period held into what has been seen, once the feed is back."""
    span = look.span(period)
    for position, column in enumerate(look.columns):
        if not look.faulty[period, position] and not look.stands(period, position):
            codes = column.codes[span]
            look.last_seen[position][codes[codes >= 0]] = period


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
