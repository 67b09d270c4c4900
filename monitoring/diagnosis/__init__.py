"""Data faults: what arrived is not what was measured. Kept apart from drift, the world's own.

:func:`diagnose` judges a feed period by period (a day, by default) against the clean periods of
the trailing reference, and names the faults it finds, with the column, the evidence in words and
numbers, and the rows they concern. The detectors are our own; where they follow a known method,
their docstring says which.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from components.faults import LABELS_DUE, Fault, write_marks
from components.pipelines import Pipeline
from monitoring.diagnosis.arrivals import known_lines
from monitoring.diagnosis.judging import judge, mark_known
from monitoring.diagnosis.look import BACK, Found, Look, look_at
from monitoring.diagnosis.observed import micro, observe
from monitoring.diagnosis.silences import Silences
from monitoring.diagnosis.words import moment_in_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Silences", "diagnose", "stood_since"]

_MOST_IDS = 2_000
"""More are kept as marks, a few bytes each."""
_NEARLY_ALL = 0.9


def diagnose(
    records: pd.DataFrame,
    labels: pd.DataFrame,
    quarantine: pd.DataFrame,
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    since: pd.Timestamp | None = None,
    known: Iterable[Fault] | None = None,
    accepted: Collection[Fault] = (),
    taken: pd.Timestamp | None = None,
    silences: Silences | None = None,
) -> tuple[Fault, ...]:
    """Find the data faults of a feed, as far as it was known at a moment.

    Parameters
    ----------
    records : DataFrame
        `record_id`, `event_time`, `known_time` and the features. Not modified, as the others.
    labels : DataFrame
        `record_id`, `known_time`, `label`.
    quarantine : DataFrame
        Columns of :func:`components.records.quarantine_schema`.
    pipeline : Pipeline
        Its columns, and under `diagnosis` period, reference and what to ignore.
    as_of : Timestamp
        UTC. What was known later does not count.
    since : Timestamp, optional
        Give only faults that reach beyond this event time. What two references before it hold
        is judged again, so that the same rows count as clean as when everything is judged.
    known : iterable of Fault, optional
        With `since`: what earlier looks found before it. They are taken as they are, instead of
        being judged again. One that reaches up to `since` stands until the feed is back: what
        follows is compared with what was before it, which `records` must hold.
    accepted : collection of Fault, optional
        Those among `known` that are the new normal: they do not stand.
    taken : Timestamp, optional
        By when everything that the source held has been taken in, if earlier than `as_of`: that
        no row came later says nothing of the feed.
    silences : Silences, optional
        What the looks before knew of how late rows and labels arrive. What lasts no longer than
        usual at the end of the feed is no fault; nor is any end while nobody knows. Without it
        the times at which rows and labels were known are taken to be those at which they arrived.

    Returns
    -------
    tuple of Fault
        Sorted by since, until, name. The same frames in any order of rows give the same answer;
        no frame, however odd, raises.

    """
    with np.errstate(all="ignore"):  # odd values overflow; what comes of them is no fault
        faults = _faults(
            records, labels, quarantine, pipeline, as_of, since, known, accepted, taken, silences
        )
    return tuple(sorted(faults))


def _faults(
    records: pd.DataFrame,
    labels: pd.DataFrame,
    quarantine: pd.DataFrame,
    pipeline: Pipeline,
    as_of: pd.Timestamp,
    since: pd.Timestamp | None,
    known: Iterable[Fault] | None,
    accepted: Collection[Fault],
    taken: pd.Timestamp | None,
    silences: Silences | None,
) -> list[Fault]:
    begin, known = None, None if known is None else tuple(known)
    if since is not None:
        open_ = [fault for fault in known or () if fault not in accepted]
        oldest = stood_since(open_, since, pipeline)
        begin = (oldest - 2 * pd.Timedelta(pipeline.diagnosis.reference)).floor("D")
    rows = observe(records, labels, quarantine, pipeline, as_of=as_of, begin=begin)
    look = look_at(rows, pipeline, as_of, taken=taken, silences=silences)
    lines = known_lines(quarantine, as_of)
    first = 0
    if begin is not None:
        warm = micro(begin) + look.reach
        first = int(np.searchsorted(look.start, warm, side="left"))
    if since is not None and known is not None:
        first = int(np.searchsorted(look.start, micro(since) - look.width, side="right"))
        mark_known(look, known, range(first), accepted)
    found = judge(look, lines, range(first, len(look.start)))
    faults = [_fault(look, group) for group in _merged(look, found)]
    if since is not None:
        faults = [fault for fault in faults if fault.until > since]
    return faults


def stood_since(known: Iterable[Fault], moment: pd.Timestamp, pipeline: Pipeline) -> pd.Timestamp:
    """Say since when the oldest of some faults stands that may stand at a moment, else then.

    One that ended and was followed by another of its column stands since the first of them.
    """
    back = (BACK + 1) * max(
        pd.Timedelta(pipeline.diagnosis.period or pd.Timedelta(0)), pd.Timedelta(days=1)
    )
    oldest = moment
    for fault in sorted(known, key=lambda fault: fault.until, reverse=True):
        if fault.until >= oldest - back:
            oldest = min(oldest, fault.since)
    return oldest


def _merged(look: Look, found: list[tuple[int, Found]]) -> list[list[Found]]:
    """Bring together what one fault spoils in periods that follow one another."""
    groups: list[list[Found]] = []
    last: dict[tuple[str, str, bool], tuple[int, int]] = {}  # end, position in groups
    for one in sorted((one for _, one in found), key=lambda one: (*_stretch(look, one), one.fault)):
        name = (one.fault, one.column, LABELS_DUE in one.evidence)
        since, until = _stretch(look, one)
        end, position = last.get(name, (since - look.width - 1, -1))
        if position >= 0 and since - end <= look.width and not one.ids:
            groups[position].append(one)
        else:
            position = len(groups)
            groups.append([one])
        last[name] = (max(end, until) if position < len(groups) - 1 else until, position)
    return groups


def _stretch(look: Look, one: Found) -> tuple[int, int]:
    if one.stretch is not None:
        return one.stretch
    return int(look.rows.time[one.rows[0]]), _after(look, int(one.rows[-1]))


def _after(look: Look, row: int) -> int:
    """Give the next moment of the feed after a row, at most a period later."""
    moment = int(look.rows.time[row])
    later = int(np.searchsorted(look.rows.time, moment, side="right"))
    if later < len(look.rows.time) and look.rows.time[later] - moment <= look.width:
        return int(look.rows.time[later])
    return moment + 1


def _between(look: Look, column: str, rows: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """Take every row with a value between the first and the last of some."""
    every = np.arange(rows[0], rows[-1] + 1)
    return every[~look.columns[look.names.index(column)].missing[every]]


def _fault(look: Look, group: list[Found]) -> Fault:
    since = min(_stretch(look, one)[0] for one in group)
    until = max(_stretch(look, one)[1] for one in group)
    rows = np.unique(np.concatenate([one.rows for one in group]))
    if all(one.solid for one in group):
        rows = _between(look, group[0].column, rows)
    inside = np.searchsorted(look.rows.time, until) - np.searchsorted(look.rows.time, since)
    ids, marks = group[0].ids, ""
    if not ids and 0 < len(rows) < _NEARLY_ALL * inside:
        names = tuple(str(name) for name in look.rows.ids[rows])
        ids, marks = (names, "") if len(names) <= _MOST_IDS else ((), write_marks(names))
    evidence = group[0].evidence
    if len(group) > 1:
        evidence += f"; so for {len(group)} periods, until {moment_in_words(until)}"
    return Fault(
        since=pd.Timestamp(since, unit="us", tz="UTC"),
        until=pd.Timestamp(until, unit="us", tz="UTC"),
        fault=group[0].fault,
        column=group[0].column,
        evidence=evidence,
        rows=len(rows),
        ids=ids,
        marks=marks,
        also=tuple(dict.fromkeys(name for one in group for name in one.also)),
    )
