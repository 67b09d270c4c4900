"""Take what a source holds into the lake, so that taking it twice changes nothing.

source ─► parts ─► batches ─► checks ─► aside on disk ─► one commit a table
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.checks import ABSENT
from components.errors import SourceError
from components.ingests import (
    INGESTS,
    Taken,
    Watermark,
    ingest_schema,
    reading_of,
    taken_from,
    to_rows,
)
from components.pipelines import Pipeline
from components.pipelines.data import Source
from components.records import (
    LABELS,
    QUARANTINE,
    RECORDS,
    carried,
    quarantine_schema,
    table_schemas,
    to_frame,
)
from components.sources import open_feed
from components.stores.lake import Lake, Reader
from components.stores.lake.engine import spilling
from components.stores.lake.scratch import scratch
from components.stores.lake.staging import Stage
from flows.steps.arriving import (
    Checks,
    Delivered,
    LabelChecks,
    RecordChecks,
    arrive,
)
from flows.steps.claiming import claims_of_labels, claims_of_records, claims_of_truth
from flows.steps.erased import Erased, erased
from flows.steps.keeping_out import KeepingOut, lines_without_erased, without_erased
from flows.steps.lateness import set_late_aside
from flows.steps.news import Claims, Tally, find_news
from flows.steps.withdrawing import Withdrawals

PRODUCER = "ingest"

_NEW_FAULTS = """
, lines as (
    select distinct on (record_id, "column", rule, "row") * from delivered
    order by record_id, "column", rule, "row", known_time
)
select lines.*, row_number() over (
    partition by lines.record_id, lines."row" order by lines.known_time, lines."column"
) = 1 as _dw_is_first
from lines anti join this
on lines.record_id is not distinct from this.record_id and lines."column" = this."column"
    and lines.rule = this.rule and lines."row" = this."row"
order by lines.known_time, lines.record_id
"""
_NEW_PARTS = """
select delivered.* from delivered anti join this
on delivered.source = this.source and delivered.part = this.part
    and delivered.digest = this.digest and delivered.reading = this.reading
    and delivered.as_of = this.as_of
"""


Around: TypeAlias = Callable[[Checks, bool], Checks]
"""Takes the checks of a source, and whether it is the table of labels."""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an ingest added.

    Attributes
    ----------
    records, labels : int
        Rows that are new in the tables.
    quarantined : int
        Rows of the source that were set aside, or their label was: each once, however many
        rules it broke and however many lines of text it stands on.
    already : int
        Records that were delivered and stood there before.
    late : int
        Of the new records, those that were known before an earlier ingest already.
    lines : int
        New lines in the quarantine: one for each rule that a row broke, and for each column
        that a part lacks.
    absent : tuple of str
        Columns that a part lacks, as far as these lines say so; its rows came in without them.

    """

    records: int
    labels: int
    quarantined: int
    already: int
    late: int = 0
    lines: int = field(default=0, compare=False)
    absent: tuple[str, ...] = field(default=(), compare=False)


@dataclass
class _Aside:
    """What was set aside; counted anew whenever a commit is tried again."""

    rows: int = 0
    lines: int = 0
    absent: set[str] = field(default_factory=set)

    def clear(self) -> None:
        """Begin anew."""
        self.rows, self.lines, self.absent = 0, 0, set()

    def add(self, lines: pa.RecordBatch, first: pa.Array) -> None:
        """Count lines; `first` marks one line of each row."""
        whole = pc.equal(lines.column("rule"), ABSENT)
        self.rows += pc.and_(first, pc.invert(whole)).true_count
        self.lines += lines.num_rows
        self.absent.update(lines.filter(whole).column("column").to_pylist())


def create_tables(lake: Lake, pipeline: Pipeline) -> None:
    """Make the tables of a pipeline where they are absent; add columns that are new."""
    for table, schema in {**table_schemas(pipeline), INGESTS: ingest_schema()}.items():
        lake.create(pipeline.name, table, schema)


def ingest(
    lake: Lake,
    pipeline: Pipeline,
    *,
    as_of: pd.Timestamp,
    flow_run_id: str = "",
    again: bool = False,
    around: Around | None = None,
) -> Ingested:
    """Append what the source held as known at a moment and the lake does not hold yet.

    Doing it twice changes nothing, nor do two at once, wherever they run. A row that has
    changed in the source is appended as a later version: at its own later known time, else
    known as of now. Memory does not grow with the rows: they wait on disk.

    Parameters
    ----------
    lake : Lake
    pipeline : Pipeline
        Resolved.
    as_of : Timestamp
        UTC.
    flow_run_id : str
        Noted in the commits.
    again : bool
        Read parts of which nothing was left before, too.
    around : callable, optional
        Put around the checks of each source, to listen to what they say.

    Raises
    ------
    SourceError, StoreUnreachableError
        If the source cannot be read to its end; the tables stay as they are.
    StoreError
        If the lake fails; what was written stays, and running it again completes it.

    """
    with scratch("ingest") as made, spilling(made) as folder:
        run = _Ingest(lake, pipeline, as_of, flow_run_id, folder, around)
        return run.carry_out(again=again)


class _Ingest:
    """One ingest: what it was asked for, and where its rows wait."""

    def __init__(
        self,
        lake: Lake,
        pipeline: Pipeline,
        as_of: pd.Timestamp,
        flow_run_id: str,
        folder: Path,
        around: Around | None,
    ) -> None:
        self.lake, self.pipeline, self.as_of = lake, pipeline, as_of
        self.folder, self.flow_run_id, self.around = folder, flow_run_id, around
        self.reading = reading_of(pipeline)

    def carry_out(self, *, again: bool) -> Ingested:
        pipeline = self.pipeline
        # Before anything is read: what an earlier ingest notes here, it has committed.
        marks = {source.shown: self._watermark(source) for source in self._sources}
        records = self._arrive(pipeline.source, marks, again=again)
        truth = None
        if pipeline.labels is not None:
            truth = self._arrive(pipeline.labels, marks, again=again)
        create_tables(self.lake, pipeline)
        claims = claims_of_records(
            records, pipeline, read_before=marks[pipeline.source.shown].columns
        )
        labels = claims_of_labels(records, pipeline)
        self._without_late(records, claims, pipeline.source, RECORDS, marks)
        if truth is not None and pipeline.labels is not None:
            labels = claims_of_truth(truth, pipeline)
            self._without_late(truth, labels, pipeline.labels, LABELS, marks)
        # Quarantine first: a row that is set aside is never missing from both.
        faults = [delivered.faults for delivered in (records, truth) if delivered is not None]
        aside = self._set_aside(faults)
        mark = marks[pipeline.source.shown].at
        new = self._append(RECORDS, claims, mark)
        # A label's own lateness is counted with the table that it came from.
        about = (self.lake, pipeline, self.as_of, records, labels, mark, self.folder)
        labelled = self._append(LABELS, labels, mark, None if truth else Withdrawals(*about))
        self._note(pipeline.source, records, new)
        if truth is not None and pipeline.labels is not None:
            self._note(pipeline.labels, truth, labelled)
        there = sum(records.by_part().values()) + sum(one.good for one in records.before)
        return Ingested(
            records=new.new.total(),
            labels=labelled.new.total(),
            quarantined=aside.rows,
            already=there - new.new.total(),
            late=new.late.total(),
            lines=aside.lines,
            absent=tuple(sorted(aside.absent)),
        )

    @property
    def _sources(self) -> tuple[Source, ...]:
        labels = self.pipeline.labels
        return (self.pipeline.source,) if labels is None else (self.pipeline.source, labels)

    def _arrive(self, source: Source, marks: dict[str, Watermark], *, again: bool) -> Delivered:
        """Read a source to its end; the table of labels, where it is that."""
        own = source is self.pipeline.labels
        checks: Checks = (LabelChecks if own else RecordChecks)(self.pipeline, self.as_of)
        checks = KeepingOut(checks, self._erased, self.pipeline, self.as_of)
        if self.around is not None:
            checks = self.around(checks, own)
        mark = marks[source.shown]
        since = None if again else self._since(source, mark, own=own)
        delivered = arrive(
            open_feed(source, self.pipeline),
            checks,
            self.folder,
            as_of=self.as_of,
            watermark=mark,
            since=since,
            again=again,
        )
        # Labels may still have to come, and a function may have nothing new to say.
        if not own and source.python is None and since is None:
            _require_rows(delivered, source)
        return delivered

    def _since(self, source: Source, mark: Watermark, *, own: bool) -> pd.Timestamp | None:
        """Say from which known time on to ask; files are told apart by what they hold."""
        if source.path is not None:
            return None
        # A function gives what has changed; a table of labels, and `updated`, say when.
        dated = own or source.python is not None or self.pipeline.updated is not None
        if not dated and source.lateness is None:
            return None  # rows changed in place without a word are only found by reading all
        return mark.since(source.lateness, as_of=self.as_of, dated=dated)

    def _watermark(self, source: Source) -> Watermark:
        name = self.pipeline.name
        if not self.lake.exists(name, INGESTS):
            return Watermark([], self.reading)
        found = self.lake.read(
            name, INGESTS, where="source = $shown", params={"shown": source.shown}
        )
        return Watermark(taken_from(found), self.reading)

    def _without_late(
        self,
        delivered: Delivered,
        claims: Claims,
        source: Source,
        table: str,
        marks: dict[str, Watermark],
    ) -> None:
        """Set aside new rows that came later than the source is allowed to be."""
        at = marks[source.shown].surely
        if source.lateness is None or at is None:
            return
        opened = self.lake.open(self.pipeline.name, table)
        set_late_aside(
            delivered, claims, opened, self.pipeline, source, watermark=at, spill=self.folder
        )

    def _append(
        self,
        table: str,
        claims: Claims,
        watermark: pd.Timestamp | None,
        gone: Withdrawals | None = None,
    ) -> Tally:
        """Append what is new, and what is taken back; anew when somebody else was faster."""
        tally = Tally()

        def news(reader: Reader) -> pa.RecordBatchReader:
            tally.clear()
            found = find_news(
                claims,
                reader,
                as_of=self.as_of,
                watermark=watermark,
                spill=self.folder,
                tally=tally,
            )
            found = found if gone is None else gone.after(found, reader)
            # Asked before each batch: somebody may have been erased while we were reading.
            kept = (self._without_erased(batch) for batch in found)
            return pa.RecordBatchReader.from_batches(claims.schema, kept)

        self._commit(table, news)
        return tally

    def _without_erased(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        told = self._erased
        return without_erased(batch, told, self.pipeline) if told else batch

    def _set_aside(self, faults: list[Stage]) -> _Aside:
        """Append the lines that the quarantine does not hold yet."""
        aside = _Aside()
        if not any(stage.rows for stage in faults):
            return aside
        schema = quarantine_schema()

        def lines(reader: Reader) -> pa.RecordBatchReader:
            def batches() -> Iterator[pa.RecordBatch]:
                aside.clear()
                given = chain.from_iterable(stage.batches() for stage in faults)
                with reader.session(self.folder) as session:
                    session.keep("delivered", pa.RecordBatchReader.from_batches(schema, given))
                    for batch in session.stream(_NEW_FAULTS):
                        kept = self._told_apart(batch)
                        lines = kept.select(schema.names).cast(schema)
                        aside.add(lines, kept.column("_dw_is_first"))
                        yield lines

            return pa.RecordBatchReader.from_batches(schema, batches())

        self._commit(QUARANTINE, lines)
        return aside

    @property
    def _erased(self) -> Erased:
        return erased(self.lake, self.pipeline.name)

    def _told_apart(self, lines: pa.RecordBatch) -> pa.RecordBatch:
        """Leave out lines about people who were erased while we were reading."""
        told = self._erased
        if not told:
            return lines
        frame = to_frame(pa.Table.from_batches([lines])).assign(_dw_place=range(lines.num_rows))
        kept = lines_without_erased(frame, told, self.pipeline)
        return lines.take(pa.array(kept["_dw_place"], pa.int64()))

    def _note(self, source: Source, delivered: Delivered, tally: Tally) -> None:
        """Write down what was taken, last of all: what is noted here is in the tables."""
        good = delivered.by_part()
        taken = [
            Taken(
                source=source.shown,
                part=arrival.name,
                digest=arrival.digest,
                reading=self.reading,
                as_of=self.as_of,
                left_from=arrival.left_from,
                rows=arrival.extent.rows,
                good=good[number],
                new=tally.new[number],
                late=tally.late[number],
                columns=tuple(carried(self.pipeline)),
                newest=arrival.extent.newest,
                since=delivered.since,
            )
            for number, arrival in enumerate(delivered.arrivals)
        ]
        if not taken and source.lateness is not None and delivered.before:
            # Nothing was new up to this moment: what is new later, and was known before, is late.
            one = delivered.before[-1]
            taken = [replace(one, as_of=self.as_of, rows=0, new=0, late=0)]
        if not taken:
            return

        def parts(reader: Reader) -> pa.Table:
            held = reader.query("select coalesce(max(number), -1) as newest from this")
            rows = to_rows(taken, held["newest"][0].as_py() + 1, self.flow_run_id)
            return reader.query(_NEW_PARTS, tables={"delivered": rows}).cast(ingest_schema())

        self._commit(INGESTS, parts)

    def _commit(self, table: str, rows: Callable[[Reader], pa.Table | pa.RecordBatchReader]) -> int:
        about = {"flow_run_id": self.flow_run_id} if self.flow_run_id else {}
        name = self.pipeline.name
        return self.lake.commit(name, table, rows, producer=PRODUCER, about=about).rows


def _require_rows(delivered: Delivered, source: Source) -> None:
    if not delivered.before and not any(one.held for one in delivered.arrivals):
        raise SourceError(f"{source.shown} is empty: it has no rows; check what writes it")
