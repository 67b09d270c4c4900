"""`duplicated`: rows that were delivered twice, under other ids or under another day.

What a row says, without its time and id and without what follows from the hour of the week
alone, is hashed. A period most of whose rows say what rows one and the same time earlier said
is a copy, unless the column values are so few that periods repeat anyway.
"""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from monitoring.diagnosis.look import HOUR, LEAST_PERIODS, Found, Look
from monitoring.diagnosis.words import moment_in_words, share_in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]
    Mask = NDArray[np.bool_]
    Hashes = NDArray[np.uint64]

_LEAST_ROWS = 10
_SHARE = 0.8
_USUAL = 0.3
_HALF = 0.35
_MOST_LAGS = 400_000
_RARE = 0.02


def content_of(look: Look) -> "Hashes":
    """Hash what each row says, but for what the hour of the week alone says."""
    hashes = np.zeros(len(look.rows.time), dtype=np.uint64)
    factor = np.uint64(0x9E3779B97F4A7C15)
    hour = (look.rows.time // HOUR) % 168
    for column in look.columns[:-1]:
        if not len(column.distinct) or _follows_from(hour, column.codes, len(column.distinct)):
            continue
        words = column.codes.astype(np.uint64) + np.uint64(1)
        hashes = (hashes ^ (words * np.uint64(0xBF58476D1CE4E5B9))) * factor
        hashes ^= hashes >> np.uint64(29)
    return hashes


def _follows_from(hour: "Whole", codes: "Whole", count: int) -> bool:
    """Say whether a column is a function of the hour of the week, as a weekday or an hour is."""
    if count > 168:  # noqa: PLR2004 - more values than hours
        return False
    table = np.zeros((168, count + 1))
    np.add.at(table, (hour, codes), 1.0)
    rows, most = table.sum(), table.max(axis=1).sum()
    dominant = table.sum(axis=0).max()
    # A column that hardly varies is predicted by anything, and tells rows apart by nothing.
    return bool(rows and most >= 0.9 * rows and dominant < 0.8 * rows)


def find_copies(look: Look, period: int) -> list[Found]:
    """Find out whether a period is a copy of an earlier stretch, or stands twice itself."""
    span = look.span(period)
    if max(look.doubled[period], look.repeated[period]) < _USUAL:
        return []
    past = look.clean(period)
    if span.stop - span.start < _LEAST_ROWS or len(past) < LEAST_PERIODS:
        return []
    return _same_moment(look, period, past) or _same_content(look, period, past)


def _same_moment(look: Look, period: int, past: "Whole") -> list[Found]:
    """Find a stretch that stands twice in a feed of one row a moment."""
    span = look.span(period)
    if look.doubled[period] < _USUAL:
        return []
    rows = span.start + np.flatnonzero(look.second[span])
    usual = float(look.doubled[past].mean())
    if len(rows) < _LEAST_ROWS or len(rows) < _USUAL * (span.stop - span.start) or usual > _RARE:
        return []
    equal = [
        look.names[at]
        for at, column in enumerate(look.columns[:-1])
        if np.mean(column.codes[rows] == column.codes[rows - 1]) >= _SHARE
    ]
    evidence = (
        f"{len(rows)} moments from {moment_in_words(int(look.rows.time[rows[0]]))} on stand twice, "
        f"with the same {', '.join(equal[:6]) or 'times'}; before, "
        f"{share_in_words(usual)} of the rows shared a moment"
    )
    return [Found("duplicated", look.pipeline.time, evidence, rows, whole=True)]


def _same_content(look: Look, period: int, past: "Whole") -> list[Found]:
    """Find the one lag at which most rows of the period stand already."""
    span = look.span(period)
    size = span.stop - span.start
    share = float(look.repeated[period])
    if share < _HALF:
        return []
    usual = float(np.median(look.repeated[past]))
    if (
        usual > _USUAL
        or share < usual + _HALF
        or len(np.unique(look.content[span])) < _LEAST_ROWS // 2
    ):
        return []
    low = int(look.bounds[int(look.first[period])])
    here, there = _pairs(look.content, low, span)
    if not len(here):
        return []
    lags = look.rows.time[here] - look.rows.time[there]
    # Rows that were stamped anew one by one lie near one lag, not at it.
    about = np.round(lags / (2 * HOUR))
    values, counts = np.unique(about, return_counts=True)
    near = np.abs(about - values[np.argmax(counts)]) <= 1
    rows = np.unique(here[near])
    if len(rows) < max(_LEAST_ROWS, _HALF * size):
        return []
    exact, times = np.unique(lags[near], return_counts=True)
    lag = int(exact[np.argmax(times)])
    source = int(look.rows.time[rows[0]]) - lag
    evidence = (
        f"{len(rows)} of {size} rows say the same as the rows from {moment_in_words(source)} on"
        f"{f', {lag / HOUR:g} hours earlier' if lag else ', at the same moments'}; "
        f"in the periods before, {share_in_words(usual)} of the rows stood already"
    )
    return [Found("duplicated", look.pipeline.time, evidence, rows, whole=True)]


def _pairs(content: "Hashes", low: int, span: slice) -> "tuple[Whole, Whole]":
    """Pair each row of a stretch with the earlier rows since `low` of the same content."""
    earlier = pd.DataFrame({"said": content[low : span.stop], "there": range(low, span.stop)})
    now = pd.DataFrame({"said": content[span], "here": range(span.start, span.stop)})
    common = earlier["said"].map(now["said"].value_counts()).fillna(0.0)
    if common.sum() > _MOST_LAGS:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    both = now.merge(earlier[(common > 0).to_numpy()], on="said")
    both = both[both["there"] < both["here"]]
    return both["here"].to_numpy(np.int64), both["there"].to_numpy(np.int64)


def repeated_rows(look: Look, content: "Hashes") -> "Mask":
    """Mark the rows whose content stood in an earlier row within the reference."""
    order = np.lexsort((look.rows.time, content))
    same = content[order][1:] == content[order][:-1]
    near = look.rows.time[order][1:] - look.rows.time[order][:-1] <= look.reach
    marked = np.zeros(len(content), dtype=bool)
    marked[order[1:]] = same & near
    return marked


def second_rows(look: Look) -> "Mask":
    """Mark the rows whose entity has an earlier row of the same moment."""
    order = np.lexsort((np.arange(len(look.rows.time)), look.rows.time, look.rows.entity))
    time, whose = look.rows.time[order], look.rows.entity[order]
    marked = np.zeros(len(order), dtype=bool)
    marked[order[1:]] = (time[1:] == time[:-1]) & (whose[1:] == whose[:-1])
    return marked
