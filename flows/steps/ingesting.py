"""Take what a source holds into the lake, so that taking it twice changes nothing.

source ─► parts ─► batches ─► checks ─► aside on disk ─► one commit a table
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.checks import LABEL_KNOWN
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
    EVENT_TIME,
    KNOWN_TIME,
    LABEL,
    LABELS,
    QUARANTINE,
    RECORD_ID,
    RECORDS,
    carried,
    label_schema,
    quarantine_schema,
    record_schema,
    table_schemas,
    to_arrow,
    to_frame,
)
from components.sources import open_feed
from components.stores.lake import ROW, Lake, Reader
from components.stores.lake.staging import Stage
from flows.steps.arriving import (
    PART,
    Checks,
    Delivered,
    LabelChecks,
    RecordChecks,
    arrive,
)
from flows.steps.erased import Erased, erased
from flows.steps.keeping_out import KeepingOut, lines_without_erased, without_erased
from flows.steps.lateness import set_late_aside
from flows.steps.news import Claims, Tally, find_news

PRODUCER = "ingest"

_NEW_FAULTS = """
, lines as (
    select distinct on (record_id, "column", rule, "row") * from delivered
    order by record_id, "column", rule, "row", known_time
)
select lines.* from lines anti join this
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


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an ingest added.

    Attributes
    ----------
    records, labels, quarantined : int
        Rows that are new in the tables.
    already : int
        Records that were delivered and stood there before.
    late : int
        Of the new records, those that were known before an earlier ingest already.

    """

    records: int
    labels: int
    quarantined: int
    already: int
    late: int = 0


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

    Raises
    ------
    SourceError, StoreUnreachableError
        If the source cannot be read to its end; the tables stay as they are.
    StoreError
        If the lake fails; what was written stays, and running it again completes it.

    """
    with tempfile.TemporaryDirectory(prefix="driftwheel-ingest-") as folder:
        run = _Ingest(lake, pipeline, as_of, flow_run_id, Path(folder))
        return run.carry_out(again=again)


class _Ingest:
    """One ingest: what it was asked for, and where its rows wait."""

    def __init__(
        self, lake: Lake, pipeline: Pipeline, as_of: pd.Timestamp, flow_run_id: str, folder: Path
    ) -> None:
        self.lake, self.pipeline, self.as_of = lake, pipeline, as_of
        self.folder, self.flow_run_id = folder, flow_run_id
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
        quarantined = self._set_aside(faults)
        mark = marks[pipeline.source.shown].at
        new = self._append(RECORDS, claims, mark)
        # A label's own lateness is counted with the table that it came from.
        labelled = self._append(LABELS, labels, mark)
        self._note(pipeline.source, records, new)
        if truth is not None and pipeline.labels is not None:
            self._note(pipeline.labels, truth, labelled)
        there = sum(records.by_part().values()) + sum(one.good for one in records.before)
        return Ingested(
            records=new.new.total(),
            labels=labelled.new.total(),
            quarantined=quarantined,
            already=there - new.new.total(),
            late=new.late.total(),
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
        mark = marks[source.shown]
        # Rows that are changed in place without saying when can only be found by reading all.
        dated = own or self.pipeline.updated is not None
        since = mark.since(source.lateness) if dated and not again else None
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
        at = marks[source.shown].at
        if source.lateness is None or at is None:
            return
        opened = self.lake.open(self.pipeline.name, table)
        set_late_aside(
            delivered, claims, opened, self.pipeline, source, watermark=at, spill=self.folder
        )

    def _append(self, table: str, claims: Claims, watermark: pd.Timestamp | None) -> Tally:
        """Append what is new; worked out again when somebody else was faster."""
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
            told = self._erased  # again: somebody may have been erased while we were reading
            kept = (without_erased(batch, told, self.pipeline) for batch in found)
            return pa.RecordBatchReader.from_batches(claims.schema, kept) if told else found

        self._commit(table, news)
        return tally

    def _set_aside(self, faults: list[Stage]) -> int:
        """Append the lines that the quarantine does not hold yet."""
        if not any(stage.rows for stage in faults):
            return 0
        schema = quarantine_schema()

        def lines(reader: Reader) -> pa.RecordBatchReader:
            def batches() -> Iterator[pa.RecordBatch]:
                given = chain.from_iterable(stage.batches() for stage in faults)
                with reader.session(self.folder) as session:
                    session.keep("delivered", pa.RecordBatchReader.from_batches(schema, given))
                    for batch in session.stream(_NEW_FAULTS):
                        yield from self._told_apart(batch.cast(schema))

            return pa.RecordBatchReader.from_batches(schema, batches())

        return self._commit(QUARANTINE, lines)

    @property
    def _erased(self) -> Erased:
        return erased(self.lake, self.pipeline.name)

    def _told_apart(self, lines: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Leave out lines about people who were erased while we were reading."""
        told = self._erased
        if not told:
            yield lines
            return
        kept = lines_without_erased(to_frame(pa.Table.from_batches([lines])), told, self.pipeline)
        yield from to_arrow(kept, lines.schema).to_batches()

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


def claims_of_records(
    delivered: Delivered, pipeline: Pipeline, *, read_before: frozenset[str] = frozenset()
) -> Claims:
    """Say what a delivery holds for `records`; see :class:`Claims`."""
    schema = record_schema(pipeline)
    extent = delivered.extent
    # Only an id made of the event time cannot come back at another time.
    within = extent if pipeline.id is None else None
    return Claims(
        schema,
        partial(delivered.batches, [*schema.names, ROW, PART]),
        delivered.repeated,
        dated=pipeline.updated is not None,
        within=within,
        read_before=read_before,
        absent=delivered.absent,
    )


def claims_of_labels(delivered: Delivered, pipeline: Pipeline) -> Claims:
    """Say what a delivery holds for `labels`: what each version of a record says of it."""
    schema = label_schema(pipeline)
    columns = [RECORD_ID, EVENT_TIME, KNOWN_TIME, LABEL, LABEL_KNOWN, ROW, PART]
    order = [*schema.names, ROW, PART]

    def read() -> Iterator[pa.RecordBatch]:
        for batch in delivered.batches(columns):
            given = batch.filter(pc.is_valid(batch.column(LABEL)))
            # What a version says is known when both the label and the version are, so that
            # each row answers for itself, in whatever order the versions come.
            label, version = given.column(LABEL_KNOWN), given.column(KNOWN_TIME)
            known = pc.if_else(pc.greater(label, version), label, version)
            place = given.schema.get_field_index(KNOWN_TIME)
            yield given.set_column(place, given.schema.field(place), known).select(order)

    within = delivered.extent if pipeline.id is None else None
    dated = pipeline.updated is not None
    return Claims(schema, read, delivered.repeated, dated=dated, within=within)


def claims_of_truth(delivered: Delivered, pipeline: Pipeline) -> Claims:
    """Say what a table of labels of its own holds; each of its rows says when it was known."""
    schema = label_schema(pipeline)
    columns = [*schema.names, ROW, PART]
    return Claims(schema, partial(delivered.batches, columns), delivered.repeated, dated=True)
