"""Data faults as values: what is wrong with the feed, where, since when, and how it ended.

A fault is not drift. Drift says that the world moved; a fault says that what arrived is not
what was measured: a sensor that repeats itself, a column in another unit, a day that came
twice. Its rows are set aside, and nothing is learnt from them.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from components.records import EVENT_TIME, RECORD_ID

Mask: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]
Hashes: TypeAlias = np.ndarray[tuple[int], np.dtype[np.uint64]]
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
LABELS_DUE = "labels due by"
"""Stands in the evidence of `labels_broken` where labels did not come."""


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
    marks : str
        Instead of `ids`, where they are many: see :func:`write_marks`.
    also : tuple of str
        Other columns that the same cause spoils in the same rows.

    """

    since: pd.Timestamp
    until: pd.Timestamp
    fault: str
    column: str
    evidence: str
    rows: int
    ids: tuple[str, ...] = ()
    marks: str = ""
    also: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Whether it spoils some records of its stretch only."""
        return bool(self.ids or self.marks)

    @property
    def waits(self) -> bool:
        """Whether something did not come: rows or labels, which may come yet."""
        return self.fault == "missing_period" or (
            self.fault == "labels_broken" and LABELS_DUE in self.evidence
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that it spoils."""
        return (self.column, *self.also)

    def names(self, ids: Iterable[object]) -> Mask:
        """Mark the records among some ids that it spoils, if they lie in its stretch."""
        given = pd.Series(list(ids), dtype=object)
        if self.marks:
            return np.isin(_hashed(given), read_marks(self.marks))
        if self.ids:
            return given.isin(self.ids).to_numpy(dtype=bool)
        return np.ones(len(given), dtype=bool)

    @property
    def key(self) -> str:
        """Name the fault by what, where and since when; the same fault seen again, the same."""
        named = f"{self.fault}\0{self.column}\0{self.since.isoformat()}"
        if self.waits and self.fault != "missing_period":
            named += "\0waits"  # labels that come after all may be reversed
        return "df-" + hashlib.sha256(named.encode()).hexdigest()[:12]

    def concerns(self, rows: pd.DataFrame) -> Mask:
        """Mark the rows that it spoils; `rows` holds `record_id` and `event_time`.

        A missing period spoils none: rows of it that came after all are good.
        """
        if self.fault == "missing_period":
            return np.zeros(len(rows), dtype=bool)
        return self.covers(rows)

    def covers(self, rows: pd.DataFrame) -> Mask:
        """Mark the rows of its stretch that it is about, spoiled or not."""
        times = rows[EVENT_TIME]
        inside = ((times >= self.since) & (times < self.until)).to_numpy(dtype=bool, copy=True)
        if self.is_partial and inside.any():
            inside[inside] = self.names(rows.loc[inside, RECORD_ID])
        return inside


def write_marks(ids: Iterable[object]) -> str:
    """Write many record ids as text, about six characters each: sorted hashes of 48 bits.

    Of a million marked, one clean record in some 280 million is taken for a marked one.

    >>> day = pd.Timestamp("2011-03-10", tz="UTC")
    >>> two = Fault(day, day, "nulls", "humidity", "", 2, marks=write_marks(["b", "d"]))
    >>> two.names(["a", "b", "c", "d"]).tolist()
    [False, True, False, True]
    """
    return pack_marks(_hashed(pd.Series(list(ids), dtype=object)))


def pack_marks(hashes: Hashes) -> str:
    """Write hashes as :func:`read_marks` reads them."""
    steps = np.diff(np.unique(hashes), prepend=np.uint64(0)).astype("<u8")
    # Byte by byte of all numbers: the high ones are nearly all zero, and cost nothing.
    planes = steps.view(np.uint8).reshape(-1, 8).T.tobytes()
    return base64.b64encode(zlib.compress(planes, 6)).decode("ascii")


def read_marks(marks: str) -> Hashes:
    """Read the sorted hashes of the records that are marked; none where nothing is."""
    written = zlib.decompress(base64.b64decode(marks)) if marks else b""
    planes = np.frombuffer(written, np.uint8).reshape(8, -1)
    steps = np.ascontiguousarray(planes.T).view("<u8")
    return np.cumsum(steps.ravel(), dtype=np.uint64)


def _hashed(ids: pd.Series) -> Hashes:
    text = ids.map(str).astype(object).to_numpy()
    whole = pd.util.hash_array(text, categorize=False)
    return np.asarray(whole >> np.uint64(16), dtype=np.uint64)


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
