"""Read a source part by part, check it batch by batch, and put it aside on disk.

Nothing is committed before the source has been read to its end: one that dies half-way leaves
the tables as they were.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from components.checks import (
    LABEL_KNOWN,
    Extent,
    RowChecks,
    absence_lines,
    absent_columns,
    check_label_batch,
    require_columns,
    require_label_columns,
    settle,
    settle_labels,
    unreadable_times,
)
from components.ingests import Taken, Watermark
from components.pipelines import Pipeline
from components.records import (
    EVENT_TIME,
    KNOWN_TIME,
    LABEL,
    RECORD_ID,
    UTC_TIME,
    label_schema,
    quarantine_schema,
    record_schema,
    to_arrow,
    to_frame,
)
from components.sources import Feed, Part, frame_of
from components.sources.parts import regroup
from components.stores.lake import ROW, Ids, Stage, marked

PART = "_dw_part"
"""The column that says which part a row came from."""

# Checked at once: a batch costs 25 ms however small it is, and a cell some 30 bytes.
_CELLS_A_BATCH = 3_000_000
_LEAST_ROWS, _MOST_ROWS = 1_000, 1 << 17
_ROWS_SETTLED_AT_ONCE = 1 << 18


# The good rows, lines about the others, how much was known, and the earliest known time of a
# row of which something is left for later.
CheckedRows: TypeAlias = tuple[pd.DataFrame, pd.DataFrame, Extent, pd.Timestamp | None]


class Checks(Protocol):
    """How the rows of one kind of source are checked."""

    schema: pa.Schema

    @property
    def absent(self) -> frozenset[str]:
        """The features that no part has had so far: nothing is said of them."""

    def begin(self, part: Part) -> None:
        """See that a part has the columns that nothing can be done without."""

    def check(self, raw: pd.DataFrame) -> CheckedRows:
        """Check rows, each by itself."""

    def end(self) -> pd.DataFrame:
        """Finish a part; gives lines about all of it."""

    def close(self) -> None:
        """Finish the source."""

    def settle(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Settle rows that claim the same records; gives what stands, and lines of the others."""


@dataclass
class Arrival:
    """What one part brought; `held` counts all of its rows, known by then or not."""

    name: str
    digest: str
    held: int = 0
    left_from: pd.Timestamp | None = None
    extent: Extent = field(default_factory=Extent)


@dataclass
class Delivered:
    """What a source held, checked, on disk.

    Attributes
    ----------
    rows, settled : Stage
        Checked rows; those of records that several rows claimed, after that was settled.
    faults : Stage
        Lines for the quarantine.
    arrivals : list of Arrival
        The parts that were read, in order; :data:`PART` counts them.
    before : list of Taken
        The parts that had been taken before, and were not read.
    repeated : ndarray of uint64
        Hashes of the ids in `settled`.
    excluded : ndarray of uint64
        Hashes of ids that came too late, and do not go in.
    absent : frozenset of str
        Features that no part has: their null is no correction of what stands.
    since : Timestamp or None
        From which known time on the feed was asked.

    """

    rows: Stage
    settled: Stage
    faults: Stage
    arrivals: list[Arrival] = field(default_factory=list)
    before: list[Taken] = field(default_factory=list)
    repeated: Ids = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    excluded: Ids = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    absent: frozenset[str] = frozenset()
    since: pd.Timestamp | None = None

    @property
    def extent(self) -> tuple[pd.Timestamp, pd.Timestamp] | None:
        """The first and last event that was read, if any had a time."""
        extents = [one.extent for one in self.arrivals]
        since = [one.since for one in extents if one.since is not None]
        until = [one.until for one in extents if one.until is not None]
        return (min(since), max(until)) if since and until else None

    def by_part(self) -> Counter[int]:
        """Count the rows that may go in, by part."""
        found: Counter[int] = Counter()
        for batch in self.batches([PART]):
            found.update(dict(enumerate(np.bincount(batch.column(0).to_numpy()).tolist())))
        return found

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Read the rows that may go in, each record version once."""
        asked = list(dict.fromkeys([*columns, ROW]))
        for stage, without in ((self.rows, self.repeated), (self.settled, self.excluded[:0])):
            for batch in stage.batches(asked):
                ids = batch.column(ROW).to_numpy()
                out = marked(ids, without) | marked(ids, self.excluded)
                kept = batch.filter(pa.array(~out)) if out.any() else batch
                if kept.num_rows:
                    yield kept.select(columns)


def arrive(
    feed: Feed,
    checks: Checks,
    folder: Path,
    *,
    as_of: pd.Timestamp,
    watermark: Watermark,
    since: pd.Timestamp | None = None,
    again: bool = False,
) -> Delivered:
    """Read what a source holds and was not taken before.

    Parameters
    ----------
    feed : Feed
    checks : Checks
    folder : Path
        Where the rows are put aside; the caller removes it.
    as_of : Timestamp
        UTC.
    watermark : Watermark
        What earlier ingests took; parts of which nothing is left are not read.
    since : Timestamp, optional
        A hint for the feed.
    again : bool
        Read what was taken before, too.

    Raises
    ------
    SourceError, StoreUnreachableError
        If the source cannot be read to its end.

    """
    marked_schema = checks.schema.append(pa.field(PART, pa.int32()))
    delivered = Delivered(
        rows=Stage(folder, marked_schema, hashed=RECORD_ID),
        settled=Stage(folder, marked_schema, hashed=RECORD_ID),
        faults=Stage(folder, quarantine_schema()),
        since=since,
    )
    with _Writer(delivered, checks.schema) as writer:
        for part in feed.parts(since=since):
            taken = None if again else watermark.taken(part.name, part.digest, as_of)
            if taken is None:
                _read(part, checks, delivered, writer)
            else:
                delivered.before.append(taken)
    checks.close()
    delivered.absent = checks.absent
    _settle(delivered, checks, folder)
    return delivered


class _Writer:
    """Puts checked rows aside in a thread of its own, while the next ones are checked.

    One batch waits at most. A problem is raised with the next batch, or at the end.
    """

    def __init__(self, delivered: Delivered, schema: pa.Schema) -> None:
        self._delivered, self._schema = delivered, schema
        self._thread = ThreadPoolExecutor(1, "put-aside")
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown()
        if kind is None and self._last is not None:
            self._last.result()

    def add(self, good: pd.DataFrame, lines: pd.DataFrame, part: int) -> None:
        """Put rows of a part aside, and lines about others."""
        if self._last is not None:
            self._last.result()
        self._last = self._thread.submit(self._add, good, lines, part)

    def _add(self, good: pd.DataFrame, lines: pd.DataFrame, part: int) -> None:
        if len(good):
            _add(self._delivered.rows, self._schema, good, part)
        if len(lines):
            self._delivered.faults.add(to_arrow(lines, quarantine_schema()))


def _read(part: Part, checks: Checks, delivered: Delivered, writer: _Writer) -> None:
    checks.begin(part)
    arrival = Arrival(part.name, part.digest)
    number = len(delivered.arrivals)
    most = min(_MOST_ROWS, max(_LEAST_ROWS, _CELLS_A_BATCH // max(1, len(part.columns))))
    for batch in regroup(part.batches(), most):
        arrival.held += batch.num_rows
        good, lines, extent, left = checks.check(frame_of(batch))
        writer.add(good, lines, number)
        arrival.extent = arrival.extent.joined(extent)
        arrival.left_from = min(filter(None, (arrival.left_from, left)), default=None)
    writer.add(pd.DataFrame(), checks.end(), number)
    delivered.arrivals.append(arrival)


def _add(stage: Stage, schema: pa.Schema, rows: pd.DataFrame, part: int | pd.Series) -> None:
    table = to_arrow(rows, schema)
    numbers = np.broadcast_to(np.asarray(part, dtype=np.int32), len(rows))
    stage.add(table.append_column(PART, pa.array(numbers)))


def _settle(delivered: Delivered, checks: Checks, folder: Path) -> None:
    """Settle the records that several rows claim, some at a time."""
    delivered.repeated = repeated = delivered.rows.repeated()
    if not repeated.size:
        return
    claimed = sum(int(marked(ids, repeated).sum()) for ids in delivered.rows.ids())
    groups = -(-claimed // _ROWS_SETTLED_AT_ONCE)
    schema = delivered.rows.schema.remove(delivered.rows.schema.get_field_index(ROW))
    stages = [Stage(folder, schema) for _ in range(groups)]
    for batch in delivered.rows.batches():
        ids = batch.column(ROW).to_numpy()
        claims = marked(ids, repeated)
        for group in range(groups if claims.any() else 0):
            wanted = claims & (ids % np.uint64(groups) == np.uint64(group))
            rows = batch.filter(pa.array(wanted)).select(schema.names)
            stages[group].add(pa.Table.from_batches([rows]))
    for stage in stages:
        _settle_group(stage, delivered, checks)


def _settle_group(stage: Stage, delivered: Delivered, checks: Checks) -> None:
    if not stage.rows:
        return
    rows = to_frame(pa.Table.from_batches(list(stage.batches())))
    # A copy belongs to the first part that brought it.
    rows = rows.sort_values(PART, kind="stable", ignore_index=True)
    parts = rows.groupby(RECORD_ID, sort=False)[PART].min()
    good, lines = checks.settle(rows.drop(columns=PART))
    good = good.reset_index(drop=True)
    _add(delivered.settled, checks.schema, good, good[RECORD_ID].map(parts))
    delivered.faults.add(to_arrow(lines, quarantine_schema()))


class RecordChecks:
    """Checks of the rows of the source.

    Parameters
    ----------
    pipeline : Pipeline
        Resolved.
    as_of : Timestamp

    """

    def __init__(self, pipeline: Pipeline, as_of: pd.Timestamp) -> None:
        answer = label_schema(pipeline).field(LABEL).type
        self.schema = (
            record_schema(pipeline)
            .append(pa.field(LABEL, answer))
            .append(pa.field(LABEL_KNOWN, UTC_TIME))
        )
        self._pipeline, self._as_of = pipeline, as_of
        self._checks = RowChecks(pipeline, as_of)
        self._part = ""
        self._extent = Extent()
        self._absent: dict[str, str | None] = {}
        self._never: frozenset[str] | None = None
        self._first: tuple[str, str | None] | None = None
        self._readable = False

    @property
    def absent(self) -> frozenset[str]:
        """The features that no part has had so far."""
        return self._never or frozenset()

    def begin(self, part: Part) -> None:
        """See that a part has the columns that nothing can be done without."""
        require_columns(part.columns, self._pipeline, part=part.name)
        self._absent = absent_columns(part.columns, self._pipeline)
        lacking = frozenset(self._absent)
        self._never = lacking if self._never is None else self._never & lacking
        self._part, self._extent = part.name, Extent()

    def check(self, raw: pd.DataFrame) -> CheckedRows:
        """Check rows, each by itself."""
        checked = self._checks.check(raw)
        self._readable |= checked.readable
        if self._first is None and len(raw):
            self._first = (self._part, checked.first_time)
        extent = checked.extent
        self._extent = self._extent.joined(extent)
        return checked.good, checked.quarantine, extent, checked.left_from

    def end(self) -> pd.DataFrame:
        """Give the lines about features that the part lacks."""
        return absence_lines(
            self._absent, self._extent, self._pipeline, part=self._part, as_of=self._as_of
        )

    def close(self) -> None:
        """See that some row had a readable time.

        Raises
        ------
        SourceError
            If there were rows, and none had.

        """
        if self._first is not None and not self._readable:
            raise unreadable_times(self._pipeline, *self._first)

    def settle(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Set aside claims that contradict each other; keep each version once."""
        settled = settle(rows, self._pipeline)
        return settled.rows, settled.quarantine


class LabelChecks:
    """Checks of labels that come in a table of their own; see :class:`RecordChecks`."""

    def __init__(self, pipeline: Pipeline, as_of: pd.Timestamp) -> None:
        self.schema = label_schema(pipeline)
        self._pipeline, self._as_of = pipeline, as_of

    @property
    def absent(self) -> frozenset[str]:
        """Nothing: a table of labels has no features."""
        return frozenset()

    def begin(self, part: Part) -> None:
        """See that a part has id, time and target."""
        require_label_columns(part.columns, self._pipeline, part=part.name)

    def check(self, raw: pd.DataFrame) -> CheckedRows:
        """Check labels, each by itself."""
        checked = check_label_batch(raw, self._pipeline, as_of=self._as_of)
        newest = Extent.of(checked.good[EVENT_TIME], checked.good[KNOWN_TIME]).newest
        extent = Extent(rows=checked.rows, newest=newest)
        return checked.good, checked.quarantine, extent, checked.left_from

    def end(self) -> pd.DataFrame:
        """Give nothing: every column of a label is needed."""
        return pd.DataFrame()

    def close(self) -> None:
        """Take a table without a readable time as it is: its rows are all set aside."""

    def settle(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Set aside labels of one record that differ at one moment."""
        return settle_labels(rows, self._pipeline)
