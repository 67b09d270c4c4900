"""What was taken from which part of a source, and up to which moment: the watermark.

One row a part and ingest, in the table `ingests` beside the records.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta

import pandas as pd
import pyarrow as pa

from components.pipelines import Pipeline
from components.records import UTC_TIME

INGESTS = "ingests"

OVERLAP = timedelta(days=7)
"""So far before its newest row a source is read again where it states no lateness."""

_MOMENTS = ("as_of", "left_from", "newest", "since")


@dataclass(frozen=True, slots=True)
class Taken:
    """What one ingest took of one part.

    Attributes
    ----------
    source, part : str
        Names for people.
    digest : str
        Of the part's content; empty where none can be told.
    reading : str
        How it was read: see :func:`reading_of`.
    as_of : Timestamp
        Everything known by then was taken.
    left_from : Timestamp or None
        The earliest known time of a row of which something was left for later.
    rows, good, new, late : int
        Rows that were known; that passed; that were new; of those, known before the watermark.
    columns : tuple of str
        What was read of a record besides its keys.
    newest : Timestamp or None
        The newest known time of its rows.
    since : Timestamp or None
        From which known time on it was read; None means that it was read whole.

    """

    source: str
    part: str
    digest: str
    reading: str
    as_of: pd.Timestamp
    left_from: pd.Timestamp | None
    rows: int
    good: int
    new: int
    late: int
    columns: tuple[str, ...] = ()
    newest: pd.Timestamp | None = None
    since: pd.Timestamp | None = None


def ingest_schema() -> pa.Schema:
    """Columns of `ingests`."""
    return pa.schema(
        [
            ("source", pa.string()),
            ("part", pa.string()),
            ("digest", pa.string()),
            ("reading", pa.string()),
            ("as_of", UTC_TIME),
            ("left_from", UTC_TIME),
            ("rows", pa.int64()),
            ("good", pa.int64()),
            ("new", pa.int64()),
            ("late", pa.int64()),
            ("already", pa.int64()),
            ("flow_run_id", pa.string()),
            ("number", pa.int64()),
            ("columns", pa.list_(pa.string())),
            ("newest", UTC_TIME),
            ("since", UTC_TIME),
        ]
    )


def to_rows(taken: Iterable[Taken], number: int, flow_run_id: str) -> pa.Table:
    """Write rows of `ingests`, numbered on from `number` in the order of commits."""
    rows = [
        {
            **asdict(one),
            "already": one.good - one.new,
            "flow_run_id": flow_run_id,
            "number": number + place,
        }
        for place, one in enumerate(taken)
    ]
    return pa.Table.from_pylist(rows, schema=ingest_schema())


def taken_from(table: pa.Table) -> list[Taken]:
    """Read rows of `ingests` back, in the order of commits."""
    # A table that was made before a field was: the field says nothing.
    names = [one.name for one in fields(Taken) if one.name in table.column_names]
    rows = table.sort_by("number").select(names).to_pylist()
    return [
        Taken(
            **{
                **row,
                **{name: _moment(row[name]) for name in _MOMENTS if name in row},
                "columns": tuple(row.get("columns") or ()),
            }
        )
        for row in rows
    ]


def reading_of(pipeline: Pipeline) -> str:
    """Name how a source is read; under another name, what was taken must be read again."""
    said = pipeline.model_dump(
        mode="json",
        include={
            "time",
            "target",
            "task",
            "id",
            "entity",
            "updated",
            "label_delay",
            "label_time",
            "labels",
            "columns",
            "source",
        },
    )
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


class Watermark:
    """How far one source has been taken.

    Parameters
    ----------
    taken : iterable of Taken
        The rows of `ingests` of this source, in the order in which they were committed.
    reading : str
        How the source is read now.

    """

    def __init__(self, taken: Iterable[Taken], reading: str) -> None:
        self._newest: dict[str, Taken] = {}
        self._contents: dict[str, Taken] = {}
        self.at: pd.Timestamp | None = None
        """Everything that the source held as known by then has been taken, once."""
        self.columns: frozenset[str] = frozenset()
        """The columns that were ever read: any other is new in the pipeline file."""
        self._read_so: pd.Timestamp | None = None
        self._read_whole: pd.Timestamp | None = None
        self._newest_row: pd.Timestamp | None = None
        for one in taken:
            self.at = one.as_of if self.at is None else max(self.at, one.as_of)
            self.columns |= frozenset(one.columns)
            if one.reading == reading:
                self._read_so = _later(self._read_so, one.as_of)
                self._newest_row = _later(self._newest_row, one.newest)
                if one.since is None:
                    self._read_whole = _later(self._read_whole, one.as_of)
                self._newest[one.part] = one
                self._remember(one)

    def _remember(self, one: Taken) -> None:
        before = self._contents.get(one.digest)
        if one.digest and (before is None or _reaches(one) >= _reaches(before)):
            self._contents[one.digest] = one

    def taken(self, part: str, digest: str, as_of: pd.Timestamp) -> Taken | None:
        """Say what an earlier ingest took of this very content, if nothing is left of it.

        A part that held something else in between is read again: it has changed back, and
        that is a correction. The same content under another name is a copy.
        """
        before = self._contents.get(digest)
        newest = self._newest.get(part)
        if not digest or before is None or (newest is not None and newest.digest != digest):
            return None
        whole = before.left_from is None or as_of <= before.as_of
        return before if whole else None

    @property
    def surely(self) -> pd.Timestamp | None:
        """By when what was known had surely come: no later than the newest row that was seen.

        An ingest as of today of last year's rows says nothing of what comes for the months since.
        """
        if self.at is None or self._newest_row is None:
            return self.at
        return min(self.at, self._newest_row)

    def since(
        self, lateness: timedelta | None, *, as_of: pd.Timestamp, dated: bool = True
    ) -> pd.Timestamp | None:
        """Say from which known time on a source must be read again; None means all of it.

        Lateness is subtracted here and nowhere else, from the newest row that was seen or, where
        that is earlier, the last ingest. A source that states none is read :data:`OVERLAP` before
        that, and whole again as soon as that much time has gone by since it last was: so a row
        of any age is found, only not at once. So is a row of a source that states its lateness
        but does not date its changes.

        Parameters
        ----------
        lateness : timedelta or None
            How long after it was known a row may still arrive, if that was said.
        as_of : Timestamp
            Of the ingest that asks.
        dated : bool
            Whether a row that is changed says when, or comes again by itself.

        """
        if self._read_so is None or self._newest_row is None:
            return None  # never, or never so: a column that is new must be read of all rows
        sure = dated and lateness is not None
        if not sure and (self._read_whole is None or as_of - self._read_whole >= OVERLAP):
            return None
        span = OVERLAP if lateness is None else lateness
        left = [one.left_from for one in self._newest.values() if one.left_from is not None]
        return min([self._read_so - span, self._newest_row - span, *left])


def _moment(value: datetime | None) -> pd.Timestamp | None:
    return None if value is None else pd.Timestamp(value)


def _later(one: pd.Timestamp | None, other: pd.Timestamp | None) -> pd.Timestamp | None:
    return max(filter(None, (one, other)), default=None)


def _reaches(one: Taken) -> tuple[bool, pd.Timestamp]:
    return one.left_from is None, one.as_of
