"""`nulls`, `column_missing` and `missing_period`: values and rows that did not come."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from monitoring.diagnosis.explained import explaining
from monitoring.diagnosis.look import DAY, HOUR, LEAST_PERIODS, Found, Look
from monitoring.diagnosis.silences import longest_usual
from monitoring.diagnosis.words import moment_in_words, share_in_words, stretch_in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_RISE = 0.2
_STILL = 0.05
"""While a fault stands a smaller rise says that it goes on."""
_ABOVE_WORST = 0.1
_LEAST_NULLS = 4
_STEADY = 0.02
_ALL = 0.999
_MOSTLY_FILLED = 0.5
_HOURS = 168
_LEAST_EXPECTED = 8.0
_LEAST_GAP = 6 * HOUR
_SAME = 0.9


def find_nulls(look: Look, period: int) -> list[Found]:
    """Find the columns whose share of missing values rose by at least 20 points.

    It must also lie above every clean period of the reference, for some columns miss a tenth
    on one day and all on another by their nature. Where they rose already and the feed is not
    back, five points do.
    """
    share = look.nulls[period]
    stands = look.begun[period] < period
    # A period that has only begun is judged with its next look: the first rows of a day are of
    # one airport or one sensor, and miss what these miss.
    needed = np.where(stands, _STILL, np.inf if look.has_only_begun(period) else _RISE)
    suspects = np.flatnonzero((share >= needed)[:-1])
    found = []
    for position in suspects:
        past = look.nulls[look.clean(period, int(position)), position]
        if len(past) < LEAST_PERIODS:
            continue
        # How far a share that varies can go is not seen in a few periods.
        if past.std() > _STEADY and len(past) < 3 * LEAST_PERIODS:
            continue
        one = _nulls_of(look, period, int(position), past)
        if one is not None:
            found.append(one)
    return _by_rows(found)


def explained_nulls(look: Look, period: int, found: list[Found]) -> list[tuple[Found, str]]:
    """Pick the faults that another column explains, each with the name of that column."""
    told = []
    for one in found:
        position = look.names.index(one.column)
        past = look.clean(period, position)
        why = explaining(look, period, position, past) if one.fault == "nulls" else None
        if why is not None:
            told.append((one, why))
    return told


def _by_rows(found: list[Found]) -> list[Found]:
    """Bring together the columns that miss the same rows: one cause is one fault."""
    kept: list[Found] = []
    for one in found:
        for place, first in enumerate(kept):
            shared = len(np.intersect1d(first.rows, one.rows))
            if first.fault == one.fault and shared >= _SAME * max(len(first.rows), len(one.rows)):
                evidence = f"{first.evidence}; {one.column} misses the same rows"
                kept[place] = replace(
                    first,
                    evidence=evidence,
                    rows=np.union1d(first.rows, one.rows),
                    also=(*first.also, one.column),
                )
                break
        else:
            kept.append(one)
    return kept


def _nulls_of(look: Look, period: int, position: int, past: "Floats") -> Found | None:
    share, usual = look.nulls[period, position], float(np.median(past))
    span = look.span(period)
    rows = span.start + np.flatnonzero(look.columns[position].missing[span])
    # One odd period among many must not blind the detector to the next.
    worst = float(np.sort(past)[-2])
    stands = _rose(look, period, position)
    rise = min(_STILL if stands else _RISE, 1.0 - usual - 1e-9) - 1e-9
    if (
        len(rows) < (1 if stands else _LEAST_NULLS)
        or share - usual < rise
        or usual > _MOSTLY_FILLED
    ):
        return None
    above = max(_STILL if stands else _ABOVE_WORST, 3.0 * float(past.std()))
    if share < min(worst + above, _ALL) or (share >= _ALL and worst >= _ALL):
        return None
    evidence = (
        f"missing in {len(rows)} of {span.stop - span.start} rows ({share_in_words(share)}) from "
        f"{stretch_in_words(int(look.rows.time[rows[0]]), int(look.rows.time[rows[-1]]))}; in the "
        f"{len(past)} periods before {share_in_words(usual)}, at most "
        f"{share_in_words(float(past.max()))}"
    )
    given = np.flatnonzero(~look.columns[position].missing)
    first = int(given[-1]) + 1 if len(given) else 0  # nothing came from here on
    lasted = int(look.rows.time[-1] - look.rows.time[min(first, rows[-1])])
    gone = first <= rows[len(rows) // 2] and lasted >= 0.9 * look.width
    name = "column_missing" if gone else "nulls"
    tail = "; no value came since" if gone else ""
    return Found(name, look.names[position], evidence + tail, rows)


def _rose(look: Look, period: int, position: int) -> bool:
    """Say whether the share of missing values was above its usual level since a fault began."""
    if not look.stands(period, position):
        return False
    since = look.before(period, position)
    stood = since + np.flatnonzero(look.faulty[since:period, position])
    past = look.clean(period, position)
    before = float(np.median(look.nulls[past, position]))
    return bool(np.median(look.nulls[stood, position]) - before >= _RISE / 2)


def find_gaps(look: Look, judged: range) -> list[Found]:
    """Find stretches without a row in which the reference expects many.

    A gap is measured in expected rows, by hour of the week, so a night without flights is
    short and a morning without them is long. It must be twice the longest clean one
    of the reference.
    """
    if not len(look.rows.time):
        return []
    time = np.unique(look.rows.time)
    ends = np.append(time[1:], _end(look))
    gaps = np.flatnonzero(ends - time >= _LEAST_GAP)
    # A feed that has died has nothing to judge, and is silent for longer every day.
    since = look.start[judged.start] if len(judged) else int(time[-1]) + 1
    found: list[Found] = []
    clean = np.ones(len(time), dtype=bool)
    for gap in gaps:
        begun, end = int(time[gap]), int(ends[gap])
        if gap == len(time) - 1 and end - begun > look.reach:
            continue  # silent for longer than anything is compared with: history, not a gap
        known = (time >= begun - look.reach) & (time <= begun)
        if begun - time[0] < LEAST_PERIODS * look.width:
            continue
        rate = _rate_by_hour(look, begun)
        missed = _expected(begun, end, rate)
        others = gaps[known[gaps] & clean[gaps] & (gaps < gap)]
        worst = max((_expected(int(time[o]), int(ends[o]), rate) for o in others), default=0.0)
        if missed < max(_LEAST_EXPECTED, 2 * worst) or end - begun < _LEAST_GAP:
            continue
        clean[gap] = False
        if end >= since:  # a day without rows ends where the first one that is judged begins
            found.append(_gap(look, begun, end, missed, worst))
    return found


def _end(look: Look) -> int:
    """Say until when the feed is silent at its end; up to its newest row where that is usual."""
    newest = int(look.rows.time[-1])
    if look.silences is None:
        return _due(look)
    usual = longest_usual(look.silences.rows, newest)
    if usual is None:  # known times tell of lateness only where the source gives them
        told = bool(np.any(look.rows.known > look.rows.time))
        return _due(look) if told else newest
    return _due(look) if look.taken - newest > usual else newest


def _due(look: Look) -> int:
    """Say until when rows must have come by now: as long ago as they usually take."""
    late = look.rows.known - look.rows.time
    usual = int(np.quantile(late, 0.99, method="lower")) if len(late) else 0
    return max(look.taken - max(usual, 0), int(look.rows.time[-1]))


def _gap(look: Look, begun: int, end: int, missed: float, worst: float) -> Found:
    evidence = (
        f"no row from {moment_in_words(begun)} to {moment_in_words(end)} "
        f"({(end - begun) / HOUR:.1f} hours), where about {missed:.0f} were expected by hour of "
        f"the week; the longest gap before missed about {worst:.0f}"
    )
    nothing = np.zeros(0, np.int64)
    return Found("missing_period", look.pipeline.time, evidence, nothing, (begun + 1, end))


def _rate_by_hour(look: Look, until: int) -> "Floats":
    """Give the rows of each hour of the week before a moment: the typical week of the reference.

    The hour of the day is taken where no whole week is known.
    """
    low, high = np.searchsorted(look.rows.time, [until - look.reach, until])
    time = look.rows.time[low:high]
    if not len(time):
        return np.zeros(_HOURS)
    days = max((until - int(time[0])) // DAY, 1)
    hours, counts = np.unique(time // HOUR, return_counts=True)
    weeks = np.bincount(hours % _HOURS, weights=counts, minlength=_HOURS)
    if days < 21:  # noqa: PLR2004 - three weeks make a typical one
        daily = weeks.reshape(7, 24).sum(axis=0)
        return np.tile(daily / days, 7)
    return np.asarray(weeks / (days / 7.0))


def _expected(begun: int, end: int, rate: "Floats") -> float:
    """Count the rows expected between two moments; the first of them held one."""
    first, last = begun // HOUR, end // HOUR
    hours = np.arange(first + 1, min(last, first + 20 * _HOURS))
    return float(rate[hours % _HOURS].sum())
