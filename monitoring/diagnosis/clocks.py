"""`clock_jump`, and the calendar codes of `encoding_changed`: columns that follow the clock.

A column such as the hour, the half-hour of the day or the local minute is a straight function
of the event time. Where it has stood at one offset for weeks and then stands at another, the
clock has jumped. A whole hour on a night when clocks are set is no fault.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from monitoring.diagnosis.look import DAY, HOUR, LEAST_PERIODS, Found, Look
from monitoring.diagnosis.words import moment_in_words, share_in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Whole = NDArray[np.int64]

_UNITS = (24, 48, 96, 1440, 86_400)
"""How many of it make a day: hours, half-hours, quarters, minutes, seconds."""
_STEADY = 0.9
_ENOUGH = 0.25
_RECENT = 7
_LEAST_ROWS = 6
_ZONES = (
    "America/New_York",
    "Europe/London",
    "Europe/Berlin",
    "Australia/Sydney",
    "Pacific/Auckland",
)


@dataclass(frozen=True, slots=True)
class Clock:
    """A column that follows the clock.

    Attributes
    ----------
    unit : int
        How many of it make a day.
    offset : ndarray of float64, shape (n_rows,)
        Value less the event time, in `unit`, modulo a day; NaN where missing.
    usual, share : ndarray of float64, shape (n_periods,)
        The commonest offset of each period, and the share of its rows that have it.

    """

    position: int
    unit: int
    offset: "Floats"
    usual: "Floats"
    share: "Floats"


def clocks_of(look: Look) -> list[Clock]:
    """Find the columns that follow the clock: one offset holds in most rows of most periods."""
    found = []
    for position, column in enumerate(look.columns[:-1]):
        if column.numbers is None or len(column.distinct) < 12:  # noqa: PLR2004 - half a day of hours
            continue
        if column.distinct.min() < 0 or len(column.distinct) > 86_400:  # noqa: PLR2004
            continue
        best: Clock | None = None
        for unit in _UNITS:
            if column.distinct.max() > unit or column.distinct.max() < unit / 2:
                continue
            one = _clock(look, position, unit)
            steady = float(np.mean(one.share >= _STEADY)) if len(one.share) else 0.0
            if steady >= _STEADY - 0.2 and best is None:
                best = one
        if best is not None:
            found.append(best)
    return found


def _clock(look: Look, position: int, unit: int) -> Clock:
    numbers = look.columns[position].numbers
    assert numbers is not None  # noqa: S101 - only numbers are asked for
    of_day = np.floor((look.rows.time % DAY) / (DAY / unit))
    offset = np.mod(np.floor(numbers) - of_day, unit)
    usual, share = np.full(len(look.start), np.nan), np.zeros(len(look.start))
    for period in range(len(look.start)):
        given = offset[look.span(period)]
        given = given[~np.isnan(given)]
        if not len(given):
            continue
        counts = np.bincount(given.astype(np.int64))
        most = int(counts.argmax())
        usual[period], share[period] = most, counts[most] / len(given)
    return Clock(position, unit, offset, usual, share)


def find_jumps(look: Look, period: int) -> list[Found]:
    """Find out whether the clock jumped in a period."""
    ahead = _ahead_of_known(look, period)
    if ahead:
        return ahead
    for clock in look.clocks:
        past = look.clean(period, clock.position)[-_RECENT:]
        if len(past) < LEAST_PERIODS:
            continue
        span = look.span(period)
        given = clock.offset[span]
        away = ~np.isnan(given) & ~np.isin(given, _accepted(clock, past))
        if np.count_nonzero(away) < max(_LEAST_ROWS, _ENOUGH * len(given)):
            continue
        one = _jump(look, clock, past, span.start + np.flatnonzero(away), period)
        if one is not None:
            return [one]
    return []


def _accepted(clock: Clock, past: "Whole") -> "Floats":
    """List the offsets that much of a clean period before had: two where clocks were just set."""
    steady = past[clock.share[past] >= 1 / 2]
    return np.unique(clock.usual[steady])


def _jump(look: Look, clock: Clock, past: "Whole", rows: "Whole", period: int) -> Found | None:
    offsets = clock.offset[rows]
    values, counts = np.unique(offsets, return_counts=True)
    most = float(values[np.argmax(counts)])
    if counts.max() < _STEADY * len(rows) or not len(_accepted(clock, past)):
        return None  # not one shift: another fault of this column
    before = float(clock.usual[past[-1]])
    shift = (before - most) * 24.0 / clock.unit
    shift = (shift + 12.0) % 24.0 - 12.0
    set_ = abs(abs(shift) - 1.0) < 1e-9 and _clocks_are_set(look, int(look.rows.time[rows[0]]))  # noqa: PLR2004
    if set_ and not _goes_on(look, clock, period, most):
        return None
    # A stretch that was moved reaches into the periods beside it.
    low, high = look.bounds[max(period - 1, 0)], look.bounds[min(period + 2, len(look.start))]
    rows = low + np.flatnonzero(clock.offset[low:high] == most)
    name = look.names[clock.position]
    evidence = (
        f"event times lie {abs(shift):g} hours {'late' if shift > 0 else 'early'} against "
        f"{name} in {len(rows)} rows from {moment_in_words(int(look.rows.time[rows[0]]))}; in the "
        f"{len(past)} periods before the two agreed in "
        f"{share_in_words(float(clock.share[past].mean()))} of the rows"
    )
    return Found("clock_jump", look.pipeline.time, evidence, rows, whole=True)


def _goes_on(look: Look, clock: Clock, period: int, offset: float) -> bool:
    """Say whether the clock stood at an offset already in a fault that stands."""
    since = look.before(period, clock.position)
    stood = since + np.flatnonzero(look.faulty[since:period, clock.position])
    return bool(np.any(clock.usual[stood] == offset))


def _clocks_are_set(look: Look, moment: int) -> bool:
    """Say whether summer time begins or ends somewhere within two days."""
    near = pd.Timestamp(moment, unit="us", tz="UTC")
    for zone in _ZONES:
        before = (near - pd.Timedelta("2D")).tz_convert(zone).utcoffset()
        after = (near + pd.Timedelta(look.width, "us")).tz_convert(zone).utcoffset()
        if before != after:
            return True
    return False


def _ahead_of_known(look: Look, period: int) -> list[Found]:
    """Find events said to have happened after they were known, in a feed that has none."""
    span = look.span(period)
    lag = look.rows.known[span] - look.rows.time[span]
    if lag.min() >= 0:
        return []
    rows = span.start + np.flatnonzero(lag < 0)
    past = look.clean(period)
    if len(rows) < max(_LEAST_ROWS, _ENOUGH * len(lag)) or len(past) < LEAST_PERIODS:
        return []
    before = look.rows_of(past)
    usual = float(np.mean(look.rows.known[before] < look.rows.time[before]))
    if usual > 0.01:  # noqa: PLR2004 - one in a hundred: such times are usual here
        return []
    ahead = float(-np.median(lag[lag < 0])) / HOUR
    evidence = (
        f"{len(rows)} of {len(lag)} rows happened {ahead:.1f} hours after they were known; "
        f"in the {len(past)} periods before {share_in_words(usual)} did"
    )
    return [Found("clock_jump", look.pipeline.time, evidence, rows, whole=True)]


# --- calendar codes -----------------------------------------------------------------------------


def find_calendar_codes(look: Look, period: int) -> list[Found]:
    """Find weekday codes that mean another day than before."""
    if look.width != DAY:
        return []
    found = []
    for position in look.weekdays:
        past = look.clean(period, position)
        usual, steady = _codes_by_weekday(look, past, position)
        span = look.span(period)
        codes = look.columns[position].codes[span]
        weekday = look.weekday[span]
        expected = usual[weekday]
        wrong = (codes >= 0) & (expected >= 0) & (codes != expected)
        judged = int(np.count_nonzero((codes >= 0) & (expected >= 0)))
        if judged < _LEAST_ROWS or not steady or wrong.sum() < 0.8 * judged:
            continue
        rows = span.start + np.flatnonzero(wrong)
        distinct = look.columns[position].distinct
        now, was = distinct[codes[wrong][0]], distinct[expected[wrong][0]]
        day = pd.Timestamp(int(look.rows.time[rows[0]]), unit="us").day_name()
        evidence = (
            f"{now:g} stands for {day} in {len(rows)} of {judged} rows from "
            f"{moment_in_words(int(look.rows.time[rows[0]]))}; in the {len(past)} periods before "
            f"it was {was:g}"
        )
        found.append(Found("encoding_changed", look.names[position], evidence, rows))
    return found


def weekdays_of(look: Look) -> list[int]:
    """Name the number columns that are one value a day, and few values in all."""
    return [
        position
        for position, column in enumerate(look.columns[:-1])
        if column.numbers is not None and 7 <= len(column.distinct) <= 15  # noqa: PLR2004 - seven days, twice, and a stray
    ]


def local_weekday(look: Look) -> "Whole":
    """Give the weekday of each row's event, 0 = Monday, in the feed's own time of day.

    Where a column tells the local hour, the day turns at its midnight, else at that of UTC.
    """
    moment = look.rows.time.astype(np.float64)
    for clock in look.clocks[:1]:
        back = (clock.unit - clock.usual) % clock.unit * (DAY / clock.unit)
        behind = np.where(back > DAY / 2, back - DAY, back)
        shift = np.repeat(np.nan_to_num(behind), np.diff(look.bounds))
        moment = moment - shift
    return ((moment // DAY).astype(np.int64) + 3) % 7


def _codes_by_weekday(look: Look, past: "Whole", position: int) -> "tuple[Whole, bool]":
    """Learn which code stands for which weekday; -1 for a day not seen twice."""
    rows = look.rows_of(past)
    codes, weekday = look.columns[position].codes[rows], look.weekday[rows]
    table = np.zeros((7, len(look.columns[position].distinct) + 1))
    np.add.at(table, (weekday, codes), 1.0)
    total, most = table.sum(axis=1), table.max(axis=1)
    told = (most >= _STEADY * total) & (total >= _LEAST_ROWS) & (table[:, -1] < most)
    usual = np.where(told, table.argmax(axis=1), -1)
    bijective = len(np.unique(usual[usual >= 0])) == int((usual >= 0).sum()) >= 7  # noqa: PLR2004
    return usual, bool(bijective and len(past) >= LEAST_PERIODS)
