"""Data faults as values: what is wrong with the feed, where, since when, and how it ended.

A fault is not drift. Drift says that the world moved; a fault says that what arrived is not
what was measured: a sensor that repeats itself, a column in another unit, a day that came
twice. Its rows are set aside, and nothing is learnt from them.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from components.records import EVENT_TIME, RECORD_ID

FaultName = Literal[
    "column_missing",
    "column_renamed",
    "type_changed",
    "nulls",
    "unit_changed",
    "columns_shifted",
    "frozen",
    "duplicated",
    "missing_period",
    "clock_jump",
    "encoding_changed",
    "labels_broken",
    "id_burst",
]
FAULTS: tuple[str, ...] = get_args(FaultName)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One data fault.

    Attributes
    ----------
    fault : str
        One of :data:`FAULTS`.
    column : str
        The column of the pipeline file that it stands in: a feature, the target, the id or
        the time column.
    evidence : str
        What was found beside what was expected, in words and numbers.
    since, until : Timestamp
        The stretch of event time that it spoils, half open; UTC.
    rows : int
        How many rows it concerns.
    ids : tuple of str
        Exactly these records, where not the whole stretch is spoiled.

    """

    since: pd.Timestamp
    until: pd.Timestamp
    fault: str
    column: str
    evidence: str
    rows: int
    ids: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Name the fault by what, where and since when; the same fault seen again, the same."""
        named = f"{self.fault}\0{self.column}\0{self.since.isoformat()}"
        return "df-" + hashlib.sha256(named.encode()).hexdigest()[:12]

    def concerns(self, rows: pd.DataFrame) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """Mark the rows that it spoils; `rows` holds `record_id` and `event_time`."""
        times = rows[EVENT_TIME]
        inside = ((times >= self.since) & (times < self.until)).to_numpy(dtype=bool)
        if self.ids:
            inside = inside & rows[RECORD_ID].isin(self.ids).to_numpy(dtype=bool)
        return inside


def without_faulty(rows: pd.DataFrame, faults: Iterable[Fault]) -> pd.DataFrame:
    """Leave out the rows that any of the faults spoils; not modified.

    >>> times = pd.date_range("2011-03-09", periods=3, tz="UTC")
    >>> rows = pd.DataFrame({"record_id": ["a", "b", "c"], "event_time": times})
    >>> dead = Fault(times[1], times[2], "frozen", "humidity", "0 in all 22 rows", 1)
    >>> without_faulty(rows, [dead])["record_id"].to_list()
    ['a', 'c']
    """
    spoiled = np.zeros(len(rows), dtype=bool)
    for fault in faults:
        spoiled |= fault.concerns(rows)
    return rows[~spoiled] if spoiled.any() else rows
