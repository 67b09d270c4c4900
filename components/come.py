"""Faults that end by themselves: the rows or labels that were missing have come."""

from collections.abc import Collection, Iterable

import pandas as pd

from components.faults import Fault
from components.known_faults import KnownFault
from components.records import RECORD_ID

ROWS_CAME = "the rows have come"
LABELS_CAME = "the labels have come"


def come_at(
    known: Iterable[KnownFault],
    moment: pd.Timestamp,
    found: Collection[Fault],
    *,
    rows: pd.DataFrame,
    labelled: Collection[object],
) -> list[tuple[KnownFault, str]]:
    """List the open faults whose rows or labels have come by a moment, each with the reason.

    Parameters
    ----------
    found : collection of Fault
        What the look at that moment saw: what it misses still has not come.
    rows : DataFrame
        `record_id` and `event_time` of the rows that it saw, refused ones too.
    labelled : collection
        Ids of the records that have a label.

    """
    come = []
    for one in known:
        fault = one.at(moment)
        if fault is None or not fault.waits or one.state_at(moment) != "open":
            continue
        if any(_same_wait(fault, other) for other in found):
            continue
        about = rows.loc[fault.covers(rows), RECORD_ID]
        if fault.fault == "missing_period":
            if len(about):
                come.append((one, ROWS_CAME))
        elif len(about) and about.isin(labelled).mean() >= 1 / 2:
            come.append((one, LABELS_CAME))
    return come


def _same_wait(one: Fault, other: Fault) -> bool:
    named = (one.fault, one.column, one.waits) == (other.fault, other.column, other.waits)
    return named and one.since < other.until and other.since < one.until
